"""Why a stored chat is not there, or takes no more; as its owner reads it."""

from shared.core.errors import GatewayError
from shared.core.verdicts import Refused


class SessionNotFound(GatewayError):
    """No such session, one of another account, or a deleted one: which of them is not told."""

    status = 404
    code = "session_not_found"
    advice = "The account has no such session, or it was deleted."

    def __init__(self, param: str = "id") -> None:
        super().__init__(
            "This account has no such session, or it was deleted. GET /v1/chat/sessions lists those that there are.",
            param=param,
        )


class MessageTooLarge(GatewayError):
    """A message takes more room than one may."""

    status = 413
    code = "message_too_large"
    advice = "A stored message takes at most 256 KiB as JSON; store it in parts."


class SessionFull(GatewayError):
    """The session has all the messages that one may have."""

    status = 409
    code = "session_full"
    advice = "The session has the most messages that one may have; begin another."


class HistoryFull(GatewayError):
    """The account has stored as much as one may."""

    status = 409
    code = "history_full"
    advice = "The account stores as much as one may; delete sessions."


class TooManySessions(GatewayError):
    """The account has all the sessions that one may have."""

    status = 409
    code = "too_many_sessions"
    advice = "The account has the most sessions that one may have; delete some."


# What a customer reads; the names in braces are the verdict's numbers.
_WORDS: dict[str, tuple[type[GatewayError], str, str | None]] = {
    MessageTooLarge.code: (
        MessageTooLarge,
        "A stored message takes at most {limit} bytes as JSON. Store it in parts, or images by their address.",
        "content",
    ),
    SessionFull.code: (SessionFull, "A session has at most {limit} messages. Begin another.", "id"),
    HistoryFull.code: (
        HistoryFull,
        "An account stores at most {messages} messages of {size_bytes} bytes in all. Delete sessions that are not "
        "needed; what was deleted counts until it is erased, within a day.",
        None,
    ),
    TooManySessions.code: (
        TooManySessions,
        "An account has at most {limit} sessions. Delete some that are not needed; those that were deleted count "
        "until they are erased, within a day.",
        None,
    ),
}


def refusal_of(refused: Refused) -> GatewayError | None:
    """Turn a verdict about stored chats into the error a customer reads; None for any other."""
    if refused.code == SessionNotFound.code:
        return SessionNotFound()
    if refused.code not in _WORDS:
        return None
    error, words, param = _WORDS[refused.code]
    return error(words.format(**refused.numbers), param=param)
