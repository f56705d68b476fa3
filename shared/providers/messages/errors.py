"""Refusals in Anthropic's shape, so that its clients raise their own exceptions."""

from typing import Any

from shared.core.errors import GatewayError, envelope
from shared.providers.messages.shapes import write_event

# source  https://platform.claude.com/docs/en/api/errors
_TYPES = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    408: "timeout_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# 503 has no type of its own: of these it means what Anthropic's 529 does.
_OVERLOADED_CODES = frozenset({"provider_overloaded"})


def error_type(error: GatewayError) -> str:
    """Return Anthropic's word for the kind of error, which streams have in place of a status."""
    if error.code in _OVERLOADED_CODES:
        return "overloaded_error"
    return _TYPES.get(error.status, "api_error" if error.status >= 500 else "invalid_request_error")


def error_body(error: GatewayError, request_id: str | None) -> dict[str, Any]:
    """Return the body of a refusal; `details` has what our own envelope says beyond Anthropic's.

    source  anthropic-python reads error.details.error_code
    """
    fields = envelope(error, request_id)["error"]
    details = {"error_code": fields["code"], "param": fields["param"], "retryable": fields["retryable"]}
    return {
        "type": "error",
        "error": {"type": error_type(error), "message": fields["message"], "details": details},
        "request_id": request_id,
    }


def error_event(error: GatewayError, request_id: str | None) -> bytes:
    """Return a refusal as an event, for a stream that has begun."""
    return write_event(error_body(error, request_id))
