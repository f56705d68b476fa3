"""Why a stored response is not there, or not to be continued."""

from shared.core.errors import GatewayError
from shared.core.verdicts import Refused


class ResponseNotFound(GatewayError):
    """No such response is stored for this account."""

    status = 404
    code = "response_not_found"
    advice = (
        "The account has no such stored response: it never was, was not stored, was deleted or has had its 30 days."
    )

    def __init__(self) -> None:
        super().__init__(
            "No such response is stored for this account. Responses are kept for 30 days, unless `store` was false.",
            param="id",
        )


class PreviousResponseNotFound(GatewayError):
    """The response to continue is not stored, or one before it is not any more.

    source  OpenAI answers 400 with this code and this param
    """

    code = "previous_response_not_found"
    advice = (
        "`previous_response_id`, or a response that it continues, is not stored any more; send the whole conversation "
        "as `input`."
    )

    def __init__(self, message: str) -> None:
        super().__init__(message, param="previous_response_id")


class ConversationTooLarge(GatewayError):
    """What is named of stored responses is more than is read at once."""

    code = "conversation_too_large"
    advice = (
        "What a request names of stored responses is more than 16 MiB before it is packed, or more than 1,000 in a "
        "row; begin a new conversation."
    )

    def __init__(self) -> None:
        super().__init__(
            "The conversation that this request continues is too large. Begin a new one with what matters of it.",
            param="previous_response_id",
        )


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about stored responses into the error a customer reads; None for any other."""
    if refused.code == ResponseNotFound.code:
        return ResponseNotFound()
    if refused.code == ConversationTooLarge.code:
        return ConversationTooLarge()
    if refused.code == PreviousResponseNotFound.code:
        if refused.numbers.get("is_there"):
            return PreviousResponseNotFound(
                "A response before this one was deleted or has had its 30 days. Send the whole conversation as `input`."
            )
        return PreviousResponseNotFound(
            "No such response is stored for this account. Send the whole conversation as `input`."
        )
    return None
