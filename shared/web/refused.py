"""Which refusals a route's description names: those that follow from what it takes, and those that it says itself.

@router.post("/trials/start")
@requires("billing:write")
@refuses(409)
async def start_trial(request: Request) -> Response: ...
"""

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from shared.web.access import access_of

_ATTRIBUTE = "gateway_refusals"
# Whoever calls is asked who he is, what he may, and how often he has called; but for these.
_OF_CALLERS = frozenset({401, 403, 429})
_OF_OTHERS: Mapping[str, frozenset[int]] = MappingProxyType({"cron_secret": frozenset({401}), "public": frozenset()})
_OF_BODIES = frozenset({400, 408, 413})
# A function that fails, a store that does not answer, a provider that does not: any route may meet one of them.
_OF_FAILURES = "5XX"


def refuses[Endpoint: Callable[..., Any]](*statuses: int) -> Callable[[Endpoint], Endpoint]:
    """Say with which statuses a route refuses, beside those that follow from its access, parameters and body."""

    def declare(endpoint: Endpoint) -> Endpoint:
        setattr(endpoint, _ATTRIBUTE, frozenset(statuses))
        return endpoint

    return declare


def describe_refusals(description: dict[str, Any], routes: Iterable[BaseRoute]) -> None:
    """Put in the place of each operation's `default` the statuses that its refusals have.

    shape   the schema of a `default` has a title, by which its refusals are kept once for all operations
    """
    kept = description.setdefault("components", {}).setdefault("responses", {})
    for route in routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = description["paths"][route.path_format][method.lower()]
            refusal = operation["responses"].pop("default")
            name = refusal["content"]["application/json"]["schema"]["title"]
            kept[name] = refusal
            for status in [*sorted(_statuses(route, operation)), _OF_FAILURES]:
                operation["responses"].setdefault(str(status), {"$ref": f"#/components/responses/{name}"})


def _statuses(route: APIRoute, operation: dict[str, Any]) -> set[int]:
    parameters = operation.get("parameters", ())
    found = {*_OF_OTHERS.get(access_of(route).admits, _OF_CALLERS), *getattr(route.endpoint, _ATTRIBUTE, ())}
    if parameters:
        found.add(400)
    if any(parameter["in"] == "path" for parameter in parameters):
        found.add(404)
    if any(parameter["name"] == "Idempotency-Key" for parameter in parameters):
        found.add(409)
    if "requestBody" in operation:
        found |= _OF_BODIES
    return found
