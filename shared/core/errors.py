"""The one family of refusals: each subclass is a fact, stands beside its rule, and becomes an answer at the edge."""

from collections.abc import Mapping

from shared.core.redaction import without_secrets


class GatewayError(Exception):
    """A refusal that a customer may read.

    status, code and type are the class's; message says what happened and what to do next; param names the
    request field at fault; headers are added to the answer. is_retryable: waiting seconds may mend it. advice: what
    docs/api.md says of the code, where a customer needs other words than the docstring's first.
    """

    status: int = 400
    code: str = "invalid_request"
    type: str = "invalid_request_error"
    is_retryable: bool = False
    advice: str | None = None

    def __init__(self, message: str, *, param: str | None = None, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.param = param
        self.headers: dict[str, str] = dict(headers or {})


class InvalidRequest(GatewayError):
    """The request is not what the contract says; param names the field."""

    code = "invalid_request"
    advice = "The request is not as described here; `param` names the field."


class StoreUnavailable(GatewayError):
    """Our own storage did not answer as it must; never the customer's fault, so never 401, 402 or 429."""

    status = 503
    code = "storage_unavailable"
    advice = "The gateway's storage did not answer; no provider was called."
    type = "server_error"
    is_retryable = True

    def __init__(self, store: str) -> None:
        super().__init__(
            f"The gateway's {store} is not available right now. Retry in a few seconds.",
            headers={"Retry-After": "2"},
        )


class NotConfigured(GatewayError):
    """The operator has not set up what this route works with; the message says what to set."""

    status = 501
    code = "not_configured"
    advice = "The operator has not set up what this needs; the message says what to set."
    type = "server_error"


def envelope(error: GatewayError, request_id: str | None) -> dict[str, dict[str, str | bool | None]]:
    """Return the error as OpenAI writes one, with what a customer needs to ask about it.

    source  https://platform.openai.com/docs/guides/error-codes/api-errors
    """
    return {
        "error": {
            # A model's name, say, is repeated as it came.
            "message": without_secrets(error.message),
            "type": error.type,
            "code": error.code,
            "param": error.param,
            "request_id": request_id,
            "retryable": error.is_retryable,
        }
    }
