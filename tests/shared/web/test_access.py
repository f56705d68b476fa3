"""Nothing is served that does not say to whom."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI, WebSocket
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

from shared.web.access import (
    Access,
    UndeclaredAccess,
    access_of,
    every_route,
    public,
    requires,
    requires_any_key,
    requires_cron_secret,
)
from shared.web.app import create_app

Adds = Callable[[APIRouter], object]


@asynccontextmanager
async def nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


async def endpoint() -> None: ...


async def talk(socket: WebSocket) -> None: ...


def nested(router: APIRouter) -> None:
    inner = APIRouter()
    inner.add_api_route("/inner", endpoint)
    router.include_router(inner)


UNDECLARED: dict[str, Adds] = {
    "a route": lambda router: router.add_api_route("/x", endpoint),
    "a route of an included router": nested,
    "a route of Starlette's own": lambda router: router.add_route("/x", lambda _: PlainTextResponse("x")),
    "a socket": lambda router: router.add_api_websocket_route("/x", talk),
    "a mounted application": lambda router: router.routes.append(Mount("/x", routes=[Route("/y", endpoint)])),
}


@pytest.mark.parametrize("add", UNDECLARED.values(), ids=UNDECLARED)
def test_an_application_with_a_route_that_declares_nothing_is_not_made(add: Adds) -> None:
    router = APIRouter()
    router.add_api_route("/ping", public(lambda: None))
    add(router)
    with pytest.raises(UndeclaredAccess):
        create_app("test", router, nothing)


def test_the_order_of_decorators_that_loses_the_declaration_does_not_exist() -> None:
    router = APIRouter()

    @requires("account:write")
    @router.get("/wrong-way-round")
    async def show() -> None: ...

    assert [access_of(route) for route in router.routes] == [Access("key", "account:write")]


def test_both_paths_of_a_route_declare_the_same() -> None:
    router = APIRouter()

    @router.get("/one")
    @router.put("/two")
    @requires("keys:write")
    async def change() -> None: ...

    assert [access_of(route) for route in router.routes] == 2 * [Access("key", "keys:write")]


def described() -> dict[str, Any]:
    router = APIRouter()
    declarations: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {
        "public": public,
        "any": requires_any_key,
        "cron": requires_cron_secret,
        "scoped": requires("billing:read"),
    }
    for name, declare in declarations.items():

        async def serve() -> None: ...

        router.add_api_route(f"/{name}/{{id}}", declare(serve), methods=["GET"])
    app = create_app("test", router, nothing)
    assert len(list(every_route(app.routes))) == len(declarations) + 1
    assert app.openapi() == app.openapi()
    return app.openapi()


@pytest.mark.parametrize(
    ("name", "security", "scope"),
    [
        ("public", [], None),
        ("any", [{"bearer": []}, {"x-api-key": []}], None),
        ("cron", [{"cron_secret": []}], None),
        ("scoped", [{"bearer": []}, {"x-api-key": []}], "billing:read"),
    ],
)
def test_a_description_says_what_a_route_declares(
    name: str, security: list[dict[str, list[str]]], scope: str | None
) -> None:
    description = described()
    operation = description["paths"][f"/{name}/{{id}}"]["get"]
    assert (operation["security"], operation.get("x-scope")) == (security, scope)
    assert all(scheme in description["components"]["securitySchemes"] for each in security for scheme in each)
