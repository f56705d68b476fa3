"""How the dialects' routes describe what they take: the fields that must be there; the rest is in docs/api.md."""

from typing import Any

from shared.web.openapi import OnDemand, once

_TEXT_OR_LIST = {"anyOf": [{"type": "string"}, {"type": "array"}]}
_MODEL = {"type": "string", "minLength": 1, "maxLength": 200}


def _takes(required: list[str], **properties: Any) -> dict[str, Any]:
    schema = {"type": "object", "required": required, "properties": {"model": _MODEL, **properties}}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


_TEXT = {"type": "string"}
_ERROR_DETAILS = {
    "type": "object",
    "required": ["error_code", "param", "retryable"],
    "properties": {
        "error_code": _TEXT,
        "param": {"anyOf": [_TEXT, {"type": "null"}]},
        "retryable": {"type": "boolean"},
    },
}
_MESSAGES_ERROR = {
    "title": "MessagesRefusal",
    "type": "object",
    "required": ["type", "error", "request_id"],
    "properties": {
        "type": {"const": "error"},
        "error": {
            "type": "object",
            "required": ["type", "message", "details"],
            "properties": {"type": _TEXT, "message": _TEXT, "details": _ERROR_DETAILS},
        },
        "request_id": _TEXT,
    },
}
MESSAGES_REFUSALS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A refusal, in Anthropic's envelope.",
        "content": {"application/json": {"schema": _MESSAGES_ERROR}},
    }
}

_MESSAGES = {"type": "array", "minItems": 1, "items": {"type": "object", "required": ["role", "content"]}}
MESSAGES_OPENAPI = OnDemand(
    lambda: once(
        _takes(
            ["model", "max_tokens", "messages"],
            messages=_MESSAGES,
            max_tokens={"type": "integer", "minimum": 1},
            system=_TEXT_OR_LIST,
            stream={"type": "boolean"},
        )
    )
)
COUNT_TOKENS_OPENAPI = OnDemand(lambda: _takes(["model", "messages"], messages=_MESSAGES, system=_TEXT_OR_LIST))
RESPONSES_OPENAPI = OnDemand(
    lambda: once(
        _takes(
            ["model"],
            input=_TEXT_OR_LIST,
            instructions={"type": "string"},
            previous_response_id={"type": "string"},
            session_id={"type": "string"},
            store={"type": "boolean"},
            stream={"type": "boolean"},
            max_output_tokens={"type": "integer", "minimum": 1},
        )
    )
)
RESPONSE_ID_OPENAPI = OnDemand(
    lambda: {"parameters": [{"name": "response_id", "in": "path", "required": True, "schema": {"type": "string"}}]}
)
