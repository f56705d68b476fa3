"""A request that goes on with something stored is looked up for, and counts once all the same."""

import asyncio
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from shared.clients.redis import Redis
from shared.keys.format import generate_secret
from shared.limits.store import COOL_DOWN_MS
from tests.flows.calls import Answer, chat
from tests.flows.conftest import WiredGateway
from tests.flows.test_round_trips import SILENCE_S, read_trips, trips_of
from tests.functions.chat.sessions import begin_session
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants, TestModel
from tests.harness.wire import Fault

PATHS = {"session": "/v1/chat/completions", "response": "/v1/responses"}
LOOK_UPS = {"session": "begin_chat_turn", "response": "read_conversation"}
KEEPS = {"session": "append_chat_turn", "response": "store_response"}
KINDS = pytest.mark.parametrize("kind", list(PATHS))


async def post(session: aiohttp.ClientSession, url: str, tenant: Tenant, body: dict[str, Any], kind: str) -> Answer:
    async with session.post(url + PATHS[kind], json=body, headers=tenant.headers) as response:
        return Answer(response.status, response.headers, await response.json(), 0.0)


async def body_that_goes_on(
    session: aiohttp.ClientSession, wired: WiredGateway, tenant: Tenant, model: TestModel, kind: str
) -> dict[str, Any]:
    """Store something, and return the body of a request that goes on with it."""
    if kind == "session":
        return chat(model, session_id=(await begin_session(wired.gateway, tenant)).id)
    body = {"model": model.id, "input": "Hello"}
    first = await post(session, wired.url, tenant, body, "response")
    return body | {"previous_response_id": first.body["id"]}


@KINDS
async def test_it_costs_one_trip_to_each_store_more_and_is_stored_beside_the_settlement(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    kind: str,
) -> None:
    customer, model = tenant(), make_model("tokens=3")
    body = await body_that_goes_on(session, wired, customer, make_model("tokens=1"), kind)
    # Redis has the scripts by then.
    assert (await post(session, wired.url, customer, body, kind)).status == 200
    wired.forget()
    assert (await post(session, wired.url, customer, body | {"model": model.id}, kind)).status == 200
    await asyncio.sleep(SILENCE_S)
    trips = read_trips(wired, simulator, model)
    assert (trips.before, trips.between) == (["reserve", LOOK_UPS[kind], "reserve", "admit"], [])
    assert trips.after == sorted([KEEPS[kind], "release", "settle"])
    assert trips.is_sequential


@KINDS
async def test_it_counts_once_and_a_refusal_never_reaches_the_store(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, kind: str
) -> None:
    # What was stored was a request too.
    customer, model = tenant(limits=PlanLimits(requests_per_minute=2)), make_model("tokens=1")
    body = await body_that_goes_on(session, wired, customer, model, kind)
    answer = await post(session, wired.url, customer, body, kind)
    assert (answer.status, answer.headers["x-ratelimit-remaining-requests"]) == (200, "0")
    wired.forget()
    refused = await post(session, wired.url, customer, body, kind)
    assert (refused.status, refused.code) == (429, "rate_limit_requests")
    assert trips_of(wired) == ["reserve"]


@KINDS
async def test_it_counts_once_at_a_key_s_first_sight(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
    kind: str,
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=2)), make_model("tokens=1")
    body = await body_that_goes_on(session, wired, customer, model, kind)
    await redis.command("FLUSHALL")
    wired.forget()
    statuses = [(await post(session, wired.url, customer, body, kind)).status for _ in range(3)]
    assert statuses == [200, 200, 429]
    assert trips_of(wired)[:5] == ["reserve", LOOK_UPS[kind], "reserve", "reserve", "admit"]


@KINDS
async def test_a_key_that_was_unknown_a_moment_ago_never_reaches_the_store(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, kind: str
) -> None:
    customer, model = tenant(), make_model("tokens=1")
    body = await body_that_goes_on(session, wired, customer, model, kind)
    unknown = replace(customer, api_key=generate_secret("live"))
    wired.forget()
    for _ in range(3):
        assert (await post(session, wired.url, unknown, body, kind)).code == "invalid_api_key"
    assert [exchange.path.rpartition("/")[2] for exchange in wired.supabase.exchanges()] == [LOOK_UPS[kind]]


@KINDS
async def test_a_request_that_is_refused_for_what_it_goes_on_with_has_counted(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, kind: str
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=3)), make_model("tokens=1")
    body = await body_that_goes_on(session, wired, customer, model, kind)
    wrong = {"session_id": "sess_999999999999999999"} if kind == "session" else {"temperature": "hot"}
    statuses = [(await post(session, wired.url, customer, body | wrong, kind)).status for _ in range(2)]
    assert statuses == [404 if kind == "session" else 400] * 2
    assert (await post(session, wired.url, customer, body, kind)).status == 429


@KINDS
async def test_an_answer_that_cannot_be_stored_is_delivered_and_charged(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, kind: str
) -> None:
    customer, model = tenant(), make_model("tokens=2,prompt_tokens=10")
    body = await body_that_goes_on(session, wired, customer, make_model("tokens=1"), kind)
    start_nanos = customer.balance()["posted_nanos"]
    with wired.supabase.broken(Fault(status=503, matches=lambda exchange: exchange.path.endswith(KEEPS[kind]))):
        assert (await post(session, wired.url, customer, body | {"model": model.id}, kind)).status == 200
    balance = customer.balance()
    assert (start_nanos - balance["posted_nanos"], balance["held_nanos"]) == (10 * 1_000 + 2 * 2_000, 0)
    event = {"session": "turn_not_stored", "response": "response_not_stored"}[kind]
    assert event in wired.gateway.log_text()


@KINDS
async def test_without_redis_it_counts_once_where_it_is_answered(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession, kind: str
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=3)), make_model("tokens=1")
    body = await body_that_goes_on(session, wired, customer, model, kind)
    with wired.redis.broken(Fault(refuses=True)):
        statuses = [(await post(session, wired.url, customer, body, kind)).status for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    # Whoever comes next finds Redis counting again.
    await asyncio.sleep(COOL_DOWN_MS / 1000)
