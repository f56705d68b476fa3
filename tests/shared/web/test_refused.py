"""A description names the refusals that a route can make, and their body once."""

from contextlib import asynccontextmanager
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request

from shared.web.access import public, requires, requires_cron_secret
from shared.web.app import create_app
from shared.web.refused import refuses

router = APIRouter()
BODY = {"requestBody": {"required": True, "content": {"application/json": {"schema": {"type": "object"}}}}}
ONCE = {"parameters": [{"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}}]}


@router.get("/open")
@public
async def look(request: Request) -> None:
    """Look."""


@router.get("/own/{name}")
@requires("account:read")
async def look_up(request: Request, name: str) -> None:
    """Look something up."""


@router.post("/own", openapi_extra={**BODY, **ONCE})
@requires("account:write")
@refuses(402)
async def make(request: Request) -> None:
    """Make something."""


@router.post("/jobs")
@requires_cron_secret
@refuses(501)
async def run(request: Request) -> None:
    """Run something."""


@asynccontextmanager
async def nothing(_: Any) -> Any:
    yield


def responses(path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = create_app("test", router, nothing).openapi()["paths"][path][method]["responses"]
    return found


def test_what_a_route_takes_and_says_are_the_refusals_that_it_describes() -> None:
    assert set(responses("/open", "get")) == {"200", "5XX"}
    assert set(responses("/own/{name}", "get")) == {"200", "400", "401", "403", "404", "429", "5XX"}
    own = {"200", "400", "401", "402", "403", "408", "409", "413", "429", "5XX"}
    assert set(responses("/own", "post")) == own
    assert set(responses("/jobs", "post")) == {"200", "401", "501", "5XX"}


def test_the_body_of_all_refusals_is_described_once_and_reading_twice_changes_nothing() -> None:
    app = create_app("test", router, nothing)
    once, twice = app.openapi(), app.openapi()
    assert once == twice
    assert list(once["components"]["responses"]) == ["Refusal"]
    assert once["paths"]["/own"]["post"]["responses"]["402"] == {"$ref": "#/components/responses/Refusal"}
