"""What an endpoint's description says of its bodies and its refusals."""

from collections.abc import Callable, ItemsView
from typing import Any

import msgspec
from pydantic import BaseModel

_TEXT_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_ERROR = {
    "type": "object",
    "required": ["message", "type", "code", "param", "request_id", "retryable"],
    "properties": {
        "message": {"type": "string"},
        "type": {"type": "string"},
        "code": {"type": "string"},
        "param": _TEXT_OR_NULL,
        "request_id": _TEXT_OR_NULL,
        "retryable": {"type": "boolean"},
    },
}
# Under `default` it also takes the place of the framework's own 422, which is never sent.
REFUSALS: dict[int | str, dict[str, Any]] = {
    "default": {
        "description": "A refusal, in OpenAI's envelope.",
        "content": {
            "application/json": {"schema": {"type": "object", "required": ["error"], "properties": {"error": _ERROR}}}
        },
    }
}


class OnDemand(dict[str, Any]):
    """A part of a description that is made when somebody reads it: making all of them costs a cold start 5 ms."""

    def __init__(self, make: Callable[[], dict[str, Any]]) -> None:
        super().__init__()
        self._make = make

    def __bool__(self) -> bool:
        return True

    def items(self) -> ItemsView[str, Any]:  # type: ignore[override]  # FastAPI reads it by this alone
        """Return what was made."""
        return self._make().items()


def inline_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's JSON schema in one piece, because a part of a document cannot refer to parts of itself.

    raises  RecursionError for a model that contains itself
    """
    return _inlined(model.model_json_schema())


def answer_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Describe an endpoint that answers 200 with this struct as JSON.

    raises  RecursionError for a struct that contains itself
    """
    schema = _inlined(msgspec.json.schema(struct))
    answer = {"description": "The answer.", "content": {"application/json": {"schema": schema}}}
    return {"responses": {"200": answer}}


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    definitions = schema.pop("$defs", {})

    def inline(part: Any) -> Any:
        if isinstance(part, list):
            return [inline(each) for each in part]
        if not isinstance(part, dict):
            return part
        if "$ref" in part:
            return inline(definitions[part["$ref"].removeprefix("#/$defs/")])
        return {name: inline(each) for name, each in part.items()}

    inlined = inline(schema)
    assert isinstance(inlined, dict)
    return inlined
