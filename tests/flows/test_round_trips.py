"""How often a request goes to the stores, counted where the wire enters them."""

import asyncio
import time
from dataclasses import dataclass, replace
from itertools import pairwise

import aiohttp
import pytest

from shared.keys.format import generate_secret
from tests.flows.calls import ask, chat
from tests.flows.conftest import WiredGateway
from tests.functions.keys.client import Holder, owner_of
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants, TestModel
from tests.harness.wire import Exchange, Fault

WHOLE: dict[str, object] = {}
STREAM: dict[str, object] = {"stream": True}
STREAM_WITH_USAGE: dict[str, object] = {"stream": True, "stream_options": {"include_usage": True}}
KINDS = pytest.mark.parametrize("fields", [WHOLE, STREAM, STREAM_WITH_USAGE], ids=["whole", "stream", "with-usage"])

# Less than the limiter waits for Redis, more than a busy machine takes to send two requests.
DELAY_S = 0.1
# Anything that a request leaves behind to be done later would have come by then.
SILENCE_S = 0.3


@dataclass(frozen=True, slots=True)
class Trips:
    """The exchanges of one request with the stores, by what the provider saw of it."""

    before: list[str]
    after: list[str]
    between: list[str]
    is_sequential: bool
    overlap_s: float


def is_reserve(exchange: Exchange) -> bool:
    """Whether a call to Redis is the limiter's first; the script that gives back names one key alone."""
    return exchange.redis_words[2] == "4"


def name_of(exchange: Exchange) -> str:
    if "/rpc/" in exchange.path:
        return exchange.path.rpartition("/")[2]
    return "reserve" if is_reserve(exchange) else "release"


def read_trips(wired: WiredGateway, simulator: Simulator, model: TestModel) -> Trips:
    (served,) = simulator.requests(model.upstream_model)
    exchanges = sorted(wired.supabase.exchanges() + wired.redis.exchanges(), key=lambda exchange: exchange.started_at)
    before = [exchange for exchange in exchanges if (exchange.ended_at or 0) <= served["started_at"]]
    after = [exchange for exchange in exchanges if exchange.started_at >= served["ended_at"]]
    between = [exchange for exchange in exchanges if exchange not in before and exchange not in after]
    ends = [exchange.ended_at or time.time() for exchange in after]
    return Trips(
        before=[name_of(exchange) for exchange in before],
        after=sorted(name_of(exchange) for exchange in after),
        between=[name_of(exchange) for exchange in between],
        is_sequential=all(one.ended_at is not None and one.ended_at <= next_one.started_at
                          for one, next_one in pairwise(before)),
        overlap_s=min(ends, default=0.0) - max((exchange.started_at for exchange in after), default=0.0),
    )  # fmt: skip


@KINDS
async def test_a_known_key_costs_two_trips_before_the_provider_and_one_parallel_pair_after(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    fields: dict[str, object],
) -> None:
    customer, model = tenant(), make_model("tokens=3")
    await ask(session, wired.url, customer, chat(make_model("tokens=1")))
    wired.forget()
    with (
        wired.supabase.broken(Fault(delay_s=DELAY_S, matches=lambda exchange: exchange.path.endswith("settle"))),
        wired.redis.broken(Fault(delay_s=DELAY_S, matches=lambda exchange: not is_reserve(exchange))),
    ):
        answer = await ask(session, wired.url, customer, chat(model, **fields))
    assert answer.status == 200
    await asyncio.sleep(SILENCE_S)
    trips = read_trips(wired, simulator, model)
    assert (trips.before, trips.between, trips.after) == (["reserve", "admit"], [], ["release", "settle"])
    assert trips.is_sequential
    assert trips.overlap_s > DELAY_S / 2


@KINDS
async def test_first_sight_of_a_key_costs_three_trips_before_the_provider(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    fields: dict[str, object],
) -> None:
    await ask(session, wired.url, tenant(), chat(make_model("tokens=1")))
    customer, model = tenant(), make_model("tokens=3")
    wired.forget()
    assert (await ask(session, wired.url, customer, chat(model, **fields))).status == 200
    await asyncio.sleep(SILENCE_S)
    trips = read_trips(wired, simulator, model)
    assert (trips.before, trips.between) == (["reserve", "admit", "reserve"], [])
    assert trips.after == ["release", "settle"]
    assert trips.is_sequential


async def test_a_refusal_of_the_ledger_costs_its_two_trips_and_the_giving_back(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(credit_nanos=0), make_model()
    assert (await ask(session, wired.url, customer, chat(model))).status == 402
    wired.forget()
    assert (await ask(session, wired.url, customer, chat(model))).status == 402
    assert [name_of(exchange) for exchange in wired.supabase.exchanges()] == ["admit"]
    assert [name_of(exchange) for exchange in wired.redis.exchanges()] == ["reserve", "release"]


async def test_a_mistyped_key_and_one_that_was_unknown_a_moment_ago_never_reach_the_ledger(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:

    model, customer = make_model(), tenant()
    mistyped = replace(customer, api_key=customer.api_key[:-1] + ("a" if customer.api_key[-1] != "a" else "b"))
    wired.forget()
    assert (await ask(session, wired.url, mistyped, chat(model))).code == "invalid_api_key"
    assert wired.supabase.exchanges() == wired.redis.exchanges() == []

    unknown = replace(customer, api_key=generate_secret("live"))
    for _ in range(3):
        assert (await ask(session, wired.url, unknown, chat(model))).code == "invalid_api_key"
    assert [name_of(exchange) for exchange in wired.supabase.exchanges()] == ["admit"]


def trips_of(wired: WiredGateway) -> list[str]:
    exchanges = sorted(wired.supabase.exchanges() + wired.redis.exchanges(), key=lambda exchange: exchange.started_at)
    return [name_of(exchange) for exchange in exchanges]


@pytest.mark.parametrize(
    ("method", "path", "function"),
    [
        ("GET", "/user/balance", "read_account_balance"),
        ("GET", "/v1/key", "read_key"),
        ("GET", f"/v1/generations/gen_{'0' * 32}", "read_generation"),
        ("PATCH", "/user/profile", "update_profile"),
    ],
)
async def test_to_look_or_to_change_something_costs_a_known_key_two_trips(
    wired: WiredGateway, tenant: Tenants, method: str, path: str, function: str
) -> None:
    holder = owner_of(wired.gateway, tenant())
    await holder.call("GET", "/user/balance")
    wired.forget()
    await holder.call(method, path, {} if method == "PATCH" else None)
    assert trips_of(wired) == ["reserve", function]


async def test_at_a_key_s_first_sight_a_look_is_counted_after_and_a_change_before(
    wired: WiredGateway, tenant: Tenants
) -> None:
    async def first_trips(method: str, path: str) -> list[str]:
        holder: Holder = owner_of(wired.gateway, tenant())
        wired.forget()
        assert (await holder.call(method, path, {} if method == "PATCH" else None)).status == 200
        return trips_of(wired)

    assert await first_trips("GET", "/user/balance") == ["reserve", "read_account_balance", "reserve"]
    assert await first_trips("PATCH", "/user/profile") == ["reserve", "read_policy", "reserve", "update_profile"]
