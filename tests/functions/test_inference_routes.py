"""Every route that asks a model goes the one way: known caller, limits, hold, provider, settlement, replay."""

import asyncio
import contextlib
import secrets

import aiohttp
import psycopg
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from shared.flows.call import open_call
from shared.flows.store_response import ResponseStorage
from shared.flows.store_turn import continue_session
from shared.flows.stream_chat import stream_chat
from shared.keys.format import generate_secret
from tests.functions.chat.books import assert_settled, has_no_usage_line, only_usage_line, wait_until_settled
from tests.functions.inference_routes import CHARGED, EACH_CHARGED, EACH_FREE, EACH_ROUTE, FREE, InferenceRoute
from tests.functions.reached import reached_from
from tests.functions.test_access import DeclaredRoute, declared_routes
from tests.harness.books import CountedRequests
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants

START = 10 * NANOS_PER_DOLLAR
SET_SCOPES = "update gateway.api_keys set scopes = '{models:read,account:read}' where id = %s"
SUSPEND = "update gateway.accounts set status = 'suspended' where id = %s"
# What a route's code leads to where it takes more than a request for a whole answer.
FORMS = {stream_chat: "stream", continue_session: "session", ResponseStorage: "stored"}
# Its jobs ask a provider what an answer has cost, and nobody but our scheduler starts them.
LOOKS_UP = "/internal/jobs/{name}"
# A client that leaves is gone long before the gate opens.
STAYS_S = 0.5


def test_every_form_of_every_route_that_asks_a_model_is_asked_here() -> None:
    asking = [(route.path, form) for route in declared_routes() for form in forms_of(route)]
    asked = [(route.path, route.form) for route in CHARGED + FREE]
    assert sorted(asking) == sorted(asked)


@EACH_ROUTE
async def test_nobody_and_an_unknown_key_are_turned_away(
    gateway: RunningGateway, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    model = route.model(make_model)
    unknown = f"Bearer {generate_secret('live')}"
    for headers, code in (({}, "missing_api_key"), ({"Authorization": unknown}, "invalid_api_key")):
        answer = await route.ask(gateway, None, model, **headers)
        assert (answer.status, answer.error["code"]) == (401, code)
    assert simulator.requests(model.upstream_model) == []


@EACH_ROUTE
@pytest.mark.parametrize(
    ("statement", "code"), [(SET_SCOPES, "missing_scope"), (SUSPEND, "account_suspended")], ids=["scope", "suspended"]
)
async def test_who_may_not_is_refused_and_nothing_is_asked(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    simulator: Simulator,
    route: InferenceRoute,
    statement: str,
    code: str,
) -> None:
    customer, model = tenant(), route.model(make_model)
    execute(customer, statement, customer.key_id if statement == SET_SCOPES else customer.account_id)
    answer = await route.ask(gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (403, code)
    assert simulator.requests(model.upstream_model) == []
    assert has_no_usage_line(customer)


@EACH_ROUTE
async def test_it_counts_among_the_requests_of_a_minute(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=1)), route.model(make_model)
    answer = await route.ask(gateway, customer, model)
    assert answer.status == 200, answer.raw
    assert (answer.headers["x-ratelimit-limit-requests"], answer.headers["x-ratelimit-remaining-requests"]) == (
        "1",
        "0",
    )
    asked = len(simulator.requests(model.upstream_model))
    refused = await route.ask(gateway, customer, model, prompt="Something else.")
    assert (refused.status, refused.error["code"]) == (429, "rate_limit_requests")
    assert int(refused.headers["Retry-After"]) > 0
    assert len(simulator.requests(model.upstream_model)) == asked
    assert assert_settled(customer, START) == route.cost_nanos


@EACH_CHARGED
async def test_it_takes_a_place_among_those_under_way_and_gives_it_back(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    gate = new_gate()
    customer, model = tenant(limits=PlanLimits(concurrency=1)), route.model(make_model, f"gate={gate}")
    first = asyncio.create_task(route.ask(gateway, customer, model))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    refused = await route.ask(gateway, customer, model)
    assert (refused.status, refused.error["code"]) == (429, "concurrency_limit")
    simulator.open_gate(gate)
    assert (await first).status == 200
    assert (await route.ask(gateway, customer, model)).status == 200
    assert assert_settled(customer, START) == 2 * route.cost_nanos


@EACH_CHARGED
async def test_without_credit_nothing_is_asked_and_nothing_held(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    customer, model = tenant(credit_nanos=0), route.model(make_model)
    answer = await route.ask(gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (402, "insufficient_credits")
    assert simulator.requests(model.upstream_model) == []
    assert customer.books.holds() == []
    assert has_no_usage_line(customer)


@EACH_CHARGED
async def test_it_is_held_for_while_it_is_under_way_and_settled_once_with_the_right_sum(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    gate = new_gate()
    customer, model = tenant(), route.model(make_model, f"gate={gate}")
    asked = asyncio.create_task(route.ask(gateway, customer, model))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    (hold,) = customer.books.holds()
    assert hold.state == "held"
    assert hold.amount_nanos == customer.balance()["held_nanos"] >= route.cost_nanos
    assert has_no_usage_line(customer)
    simulator.open_gate(gate)
    answer = await asked
    assert answer.status == 200, answer.raw
    assert assert_settled(customer, START) == route.cost_nanos
    assert [hold.state for hold in customer.books.holds()] == ["settled"]
    line = only_usage_line(customer)
    assert f"gen_{line['generation_id'].hex}" == answer.generation_id
    assert (line["cost_nanos"], line["usage_source"], line["outcome"]) == (route.cost_nanos, "provider", "completed")
    assert line["provider"] == answer.headers["X-Provider"]
    assert customer.books.counted_requests() == CountedRequests(by_keys=1, in_day=1, in_month=1)


@EACH_CHARGED
async def test_a_provider_that_fails_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, route: InferenceRoute
) -> None:
    customer, model = tenant(limits=PlanLimits(concurrency=1)), route.model(make_model, "status=500")
    for _ in range(2):
        answer = await route.ask(gateway, customer, model)
        assert (answer.status, answer.error["code"]) == (502, "provider_unavailable"), answer.raw
    assert assert_settled(customer, START) == 0


@EACH_CHARGED
async def test_the_same_key_gets_the_same_bytes_and_pays_once_and_another_request_is_refused(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    customer, model = tenant(), route.model(make_model)
    key = {"Idempotency-Key": secrets.token_hex(8)}
    first = await route.ask(gateway, customer, model, **key)
    assert first.status == 200, first.raw
    again = await route.ask(gateway, customer, model, **key)
    assert (again.status, again.raw, again.generation_id) == (200, first.raw, first.generation_id)
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await route.ask(gateway, customer, model, prompt="Something else.", **key)
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == route.cost_nanos


@EACH_CHARGED
async def test_an_sdk_s_retry_while_the_first_is_under_way_gets_its_answer_and_pays_once(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    gate = new_gate()
    customer, model = tenant(), route.model(make_model, f"gate={gate}")
    first = asyncio.create_task(route.ask(gateway, customer, model, **{"x-stainless-retry-count": "0"}))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    second = asyncio.create_task(route.ask(gateway, customer, model, **{"x-stainless-retry-count": "1"}))
    await asyncio.sleep(STAYS_S)
    simulator.open_gate(gate)
    answers = await asyncio.gather(first, second)
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].raw == answers[1].raw
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == route.cost_nanos


@EACH_CHARGED
async def test_who_leaves_while_it_is_under_way_is_settled_once_and_nothing_is_left_behind(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    gate = new_gate()
    customer, model = tenant(limits=PlanLimits(concurrency=1)), route.model(make_model, f"gate={gate}")
    await ask_and_leave(gateway, customer, route, route.body(customer, model))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    assert [hold.state for hold in customer.books.holds()] == ["held"]
    simulator.open_gate(gate)
    line = await asyncio.to_thread(wait_until_settled, customer)
    assert line["cost_nanos"] == route.cost_nanos
    assert [hold.state for hold in customer.books.holds()] == ["settled"]
    again = await asyncio.wait_for(ask_until_there_is_room(gateway, customer, route, make_model), 10)
    assert again == 200
    assert assert_settled(customer, START) == 2 * route.cost_nanos
    assert len(simulator.requests(model.upstream_model)) == 1


@EACH_CHARGED
async def test_a_test_key_is_answered_without_a_provider_and_pays_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    customer, model = tenant(environment="test", credit_nanos=0), route.model(make_model)
    answer = await route.ask(gateway, customer, model)
    assert answer.status == 200, answer.raw
    assert simulator.requests(model.upstream_model) == []
    assert assert_settled(customer, 0) == 0


@EACH_FREE
async def test_what_is_free_needs_no_credit_and_leaves_no_line(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, route: InferenceRoute
) -> None:
    customer, model = tenant(credit_nanos=0), route.model(make_model)
    assert (await route.ask(gateway, customer, model)).status == 200
    assert simulator.requests(model.upstream_model) == []
    assert customer.books.holds() == []
    assert has_no_usage_line(customer)


def forms_of(route: DeclaredRoute) -> list[str]:
    """Return the forms of request that a route takes; none where it neither says nor shows that it asks a model."""
    reached = reached_from(route.endpoint)
    is_ours_to_ask = route.method == "POST" and route.access.scope == "inference"
    asks_provider = "upstream" in reached.names and route.path != LOOKS_UP
    if not (is_ours_to_ask or asks_provider or open_call in reached.objects):
        return []
    return ["whole", *(form for part, form in FORMS.items() if part in reached.objects)]


def new_gate() -> str:
    return f"gate-{secrets.token_hex(4)}"


async def ask_and_leave(
    gateway: RunningGateway, customer: Tenant, route: InferenceRoute, body: dict[str, object]
) -> None:
    """Ask, and hang up before anything has come."""
    async with aiohttp.ClientSession(headers=customer.headers) as session:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STAYS_S), session.post(gateway.url + route.path, json=body) as response:
                await response.read()


async def ask_until_there_is_room(
    gateway: RunningGateway, customer: Tenant, route: InferenceRoute, models: Models
) -> int:
    """Ask until the place of the request before is free: it is given back beside the settlement, not before it."""
    model = route.model(models)
    while (answer := await route.ask(gateway, customer, model)).status == 429:
        assert answer.error["code"] == "concurrency_limit"
        await asyncio.sleep(0.05)
    return answer.status


def execute(tenant: Tenant, statement: str, argument: int) -> None:
    with psycopg.connect(tenant.database_url, autocommit=True) as session:
        session.execute(statement.encode(), (argument,))
