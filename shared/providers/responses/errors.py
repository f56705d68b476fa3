"""Our refusals in the Responses dialect: the body of an answer, the events of a stream."""

from typing import Any

from shared.core.errors import GatewayError, envelope

# What a refusal of the engine's names in chat's words, and what the client of this dialect wrote.
_PARAMS = {
    "messages": "input",
    "max_tokens": "max_output_tokens",
    "max_completion_tokens": "max_output_tokens",
    "response_format": "text.format",
    "verbosity": "text.verbosity",
    "reasoning_effort": "reasoning.effort",
}


def error_body(error: GatewayError, request_id: str | None) -> dict[str, dict[str, Any]]:
    """Return OpenAI's error envelope, its param as a client of this dialect knows it."""
    body: dict[str, dict[str, Any]] = {**envelope(error, request_id)}
    body["error"]["param"] = param_in_dialect(error.param)
    return body


def param_in_dialect(param: str | None) -> str | None:
    """Return the name of a chat field in a Responses request."""
    if param is None:
        return None
    field = param.partition("[")[0].partition(".")[0]
    return _PARAMS.get(field, param)


def error_event(error: GatewayError, request_id: str | None) -> dict[str, Any]:
    """Return the fields of the event `error`.

    shape   said twice: OpenAI's reference has the fields in the event, its server and the Open Responses schema under
            `error`, which is what the official clients raise
    """
    said = error_body(error, request_id)["error"]
    return {"code": said["code"], "message": said["message"], "param": said["param"], "error": said}


def response_error(error: GatewayError, request_id: str | None) -> dict[str, Any]:
    """Return the error of a failed response; its code is one of those that OpenAI's clients know."""
    said = error_body(error, request_id)["error"]
    return {"code": _response_code(error), "message": said["message"], "type": said["type"], "param": said["param"]}


def _response_code(error: GatewayError) -> str:
    if error.status in (402, 429):
        return "rate_limit_exceeded"
    return "invalid_prompt" if 400 <= error.status < 500 else "server_error"
