"""What an endpoint's description says of its bodies and its refusals."""

from collections.abc import Callable, ItemsView, Iterable
from typing import Any

import msgspec
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.routing import BaseRoute

from shared.web.access import Admits, access_of
from shared.web.pagination import MAX_LIMIT

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
            "application/json": {
                "schema": {
                    "title": "Refusal",
                    "type": "object",
                    "required": ["error"],
                    "properties": {"error": _ERROR},
                }
            }
        },
    }
}
# The parameters of every list.
PAGE_PARAMETERS: list[dict[str, Any]] = [
    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}},
    {"name": "after", "in": "query", "schema": {"type": "string"}},
]
IDEMPOTENCY_KEY: dict[str, Any] = {
    "name": "Idempotency-Key",
    "in": "header",
    "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
}
_SCHEMES: dict[str, dict[str, str]] = {
    "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, or a Privy access token."},
    "x-api-key": {"type": "apiKey", "in": "header", "name": "x-api-key", "description": "An API key."},
    "admin": {"type": "http", "scheme": "bearer", "description": "ADMIN_API_KEY, or an admin's key or access token."},
    "cron_secret": {"type": "http", "scheme": "bearer", "description": "The gateway's CRON_SECRET."},
}
_SECURITY: dict[Admits, list[dict[str, list[str]]]] = {
    "key": [{"bearer": []}, {"x-api-key": []}],
    "admin": [{"admin": []}, {"x-api-key": []}],
    "cron_secret": [{"cron_secret": []}],
    "public": [],
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


def answer_of(struct: type[msgspec.Struct], *, status: int = 200) -> dict[str, Any]:
    """Describe an endpoint that answers with this struct as JSON.

    raises  RecursionError for a struct that contains itself
    """
    return _answer(_inlined(msgspec.json.schema(struct)), status)


def list_of(struct: type[msgspec.Struct]) -> dict[str, Any]:
    """Describe an endpoint that answers with a page of these.

    raises  RecursionError for a struct that contains itself
    """
    schema = {
        "type": "object",
        "required": ["object", "data", "has_more", "next"],
        "properties": {
            "object": {"const": "list"},
            "data": {"type": "array", "items": _inlined(msgspec.json.schema(struct))},
            "has_more": {"type": "boolean"},
            "next": _TEXT_OR_NULL,
        },
    }
    return {"parameters": PAGE_PARAMETERS} | _answer(schema, 200)


def body_of(model: type[BaseModel], *, is_required: bool = True) -> dict[str, Any]:
    """Describe an endpoint that takes this model as JSON."""
    return {"requestBody": {"required": is_required, "content": {"application/json": {"schema": inline_schema(model)}}}}


def once(description: dict[str, Any]) -> dict[str, Any]:
    """Describe an endpoint that does once what comes again with its Idempotency-Key."""
    return {**description, "parameters": [IDEMPOTENCY_KEY, *description.get("parameters", ())]}


def describe_access(description: dict[str, Any], routes: Iterable[BaseRoute]) -> None:
    """Write into a description who may call each route, and with which scope: what the route itself declares."""
    description.setdefault("components", {})["securitySchemes"] = _SCHEMES
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        access = access_of(route)
        for method in route.methods or ():
            operation = description["paths"][route.path_format][method.lower()]
            operation["security"] = _SECURITY[access.admits]
            if access.scope is not None:
                operation["x-scope"] = access.scope


def _answer(schema: dict[str, Any], status: int) -> dict[str, Any]:
    answer = {"description": "The answer.", "content": {"application/json": {"schema": schema}}}
    return {"responses": {str(status): answer}}


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
