"""Every route of every function says who may call it, and keeps to it before anything else."""

import importlib
import re
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import aiohttp
import pytest
from fastapi import FastAPI

from infra.local.stack import ROOT
from shared.core.scopes import USER_SCOPES
from shared.keys.format import generate_secret
from shared.web.access import Access, access_of, every_route
from shared.web.app import EXPOSED_HEADERS
from tests.functions.chat.client import TIMEOUT, Answer
from tests.harness.gateways import Gateways, RunningGateway

ORIGIN = "https://app.example"
MISTYPED = generate_secret("live")[:-1] + "-"
# An access token by its form alone: whoever wrote it signed nothing.
FORGED = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0.eyJzdWIiOiJkaWQ6cHJpdnk6eCIsImlzcyI6InByaXZ5LmlvIn0."
# Whoever is not our own may call these.
PUBLIC = {
    "auth": {"/auth", "/auth/privy"},
    # A signature opens them: of Resend, and our own in a link.
    "account": {"/webhooks/resend", "/unsubscribe"},
    "billing": {"/plans", "/plans/{plan_id}"},
    "catalog": None,
    # Stripe's own signature opens it.
    "stripe_webhook": {"/webhooks/stripe", "/api/stripe/webhook"},
}
# What only looks, but takes its question in a body.
LOOKS_BY_POST = {"/v1/chat/search"}

GROUPS = sorted(path.parent.name for path in ROOT.glob("functions/*/app.py"))


@dataclass(frozen=True, slots=True)
class DeclaredRoute:
    """One method of one path of one function, and who may call it."""

    group: str
    method: str
    path: str
    access: Access
    endpoint: Any = field(repr=False)

    @property
    def example(self) -> str:
        """A path that the route answers."""
        return re.sub(r"\{\w+(:path)?\}", "id", self.path)


@cache
def declared_routes() -> tuple[DeclaredRoute, ...]:
    return tuple(
        DeclaredRoute(group, method, getattr(route, "path", ""), access_of(route), getattr(route, "endpoint", None))
        for group in GROUPS
        for route in every_route(_app(group).routes)
        for method in sorted(getattr(route, "methods", None) or ())
    )


def _app(group: str) -> FastAPI:
    app = importlib.import_module(f"functions.{group}.app").app
    assert isinstance(app, FastAPI)
    return app


def _named(routes: list[DeclaredRoute]) -> list[object]:
    return [pytest.param(route, id=f"{route.method} {route.path}") for route in routes]


SERVED = [route for route in declared_routes() if route.path != "/healthz"]
WITH_KEY = _named([route for route in SERVED if route.access.admits in {"key", "admin"}])
WITH_CRON_SECRET = [route for route in SERVED if route.access.admits == "cron_secret"]


async def call(gateway: RunningGateway, method: str, path: str, headers: dict[str, str]) -> Answer:
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.request(method, gateway.url + path, headers=headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


def test_every_function_is_walked() -> None:
    groups = {route.group for route in declared_routes()}
    assert groups == set(GROUPS)
    assert {"chat", "catalog", "scheduled"} <= groups


def test_what_anyone_may_call_is_named_here() -> None:
    for route in SERVED:
        allowed = PUBLIC.get(route.group, set())
        assert route.access.admits != "public" or allowed is None or route.path in allowed, route


def test_what_changes_something_asks_for_a_scope_that_lets_change_it() -> None:
    for route in SERVED:
        looks = route.method in {"GET", "HEAD"} or route.path in LOOKS_BY_POST
        if route.access.admits == "key" and not looks:
            assert route.access.scope == "inference" or str(route.access.scope).endswith(":write"), route
        if route.access.admits == "key" and route.access.scope is not None:
            assert route.access.scope in USER_SCOPES


@pytest.mark.parametrize("route", WITH_KEY)
async def test_without_a_key_a_route_that_asks_for_one_answers_nothing_else(
    gateway: RunningGateway, route: DeclaredRoute
) -> None:
    for headers, code in (
        ({}, {"missing_api_key"}),
        ({"Authorization": f"Bearer {MISTYPED}"}, {"invalid_api_key"}),
        ({"x-api-key": MISTYPED}, {"invalid_api_key"}),
        # Where nobody can sign in it is no key either.
        ({"Authorization": f"Bearer {FORGED}"}, {"invalid_token", "invalid_api_key"}),
    ):
        answer = await call(gateway, route.method, route.example, headers)
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert answer.headers["Cache-Control"] == "no-store"
        if route.method != "HEAD":
            assert answer.error["code"] in code


async def test_without_the_cron_secret_no_job_is_started(start_gateway: Gateways) -> None:
    gateway = start_gateway(CRON_SECRET="x" * 32)
    assert WITH_CRON_SECRET
    for route in WITH_CRON_SECRET:
        for headers in ({}, {"Authorization": f"Bearer {generate_secret('live')}"}):
            answer = await call(gateway, route.method, route.example, headers)
            assert (answer.status, answer.error["code"]) == (401, "wrong_cron_secret")
            assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("route", _named(SERVED))
async def test_a_browser_asks_without_a_key_and_is_told_that_it_may(
    gateway: RunningGateway, route: DeclaredRoute
) -> None:
    headers = {
        "Origin": ORIGIN,
        "Access-Control-Request-Method": route.method,
        "Access-Control-Request-Headers": "authorization,content-type,idempotency-key",
    }
    answer = await call(gateway, "OPTIONS", route.example, headers)
    assert (answer.status, answer.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert {"authorization", "idempotency-key"} <= set(
        re.split(r",\s*", answer.headers["Access-Control-Allow-Headers"].lower())
    )
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("route", _named([route for route in SERVED if route.method != "HEAD"]))
async def test_a_page_may_read_a_refusal_and_no_answer_lets_cookies_in(
    gateway: RunningGateway, route: DeclaredRoute
) -> None:
    answer = await call(gateway, route.method, route.example, {"Origin": ORIGIN, "Cookie": "a=b"})
    assert answer.headers["Access-Control-Allow-Origin"] in {"*", ORIGIN}
    assert "Access-Control-Allow-Credentials" not in answer.headers
    assert set(re.split(r",\s*", answer.headers["Access-Control-Expose-Headers"])) == set(EXPOSED_HEADERS)
