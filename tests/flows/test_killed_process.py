"""What a gateway leaves behind that died in the middle of a request: nothing for longer than its time."""

import asyncio
import time

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.keys.fingerprint import fingerprint
from shared.limits.refusals import ConcurrencyLimited
from shared.limits.store import Limiter
from shared.limits.types import Reservation
from tests.flows.calls import ask, chat
from tests.harness.gateways import Gateways
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants

LEASE_S = 60
TIME_LIMIT_S = 100
# The function ends a request 20 s before its platform would; its hold lives for 60 s more.
HOLD_LIVES_S = TIME_LIMIT_S - 20 + 60


async def leave_in_the_middle(
    start_gateway: Gateways, customer: Tenant, session: aiohttp.ClientSession, simulator: Simulator, make_model: Models
) -> None:
    """Have a gateway killed while a stream and a whole answer of the customer are under way."""
    gateway = start_gateway(FUNCTION_TIME_LIMIT_S=str(TIME_LIMIT_S))
    models = make_model("tokens=100,pace_ms=1000"), make_model("tokens=100,first_byte_ms=60000")
    requests = [
        asyncio.ensure_future(ask(session, gateway.url, customer, chat(model, stream=model is models[0])))
        for model in models
    ]
    for model in models:
        await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    gateway.kill()
    endings = await asyncio.gather(*requests, return_exceptions=True)
    assert all(isinstance(ending, aiohttp.ClientError) for ending in endings), endings


async def test_the_leases_of_a_killed_process_free_themselves_within_a_minute(
    *,
    stack: LocalStack,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer = tenant(limits=PlanLimits(concurrency=2))
    await leave_in_the_middle(start_gateway, customer, session, simulator, make_model)
    left = await redis.command("ZRANGE", f"gw:leases:{customer.account_id}", 0, -1, "WITHSCORES")
    assert isinstance(left, list)
    ends_ms = [int(score) for score in left[1::2]]
    assert len(ends_ms) == 2
    assert max(ends_ms) <= (time.time() + LEASE_S) * 1000

    key = fingerprint(customer.api_key, stack.credentials.gateway_secret)
    now_ms = max(ends_ms) - LEASE_S * 1000
    limiter = Limiter(redis, lambda: now_ms)
    with pytest.raises(ConcurrencyLimited):
        await limiter.reserve(key=key, address="127.0.0.1", lease_id="too-early", tokens=0)
    now_ms += LEASE_S * 1000
    for lease in ("first", "second"):
        answer = await limiter.reserve(key=key, address="127.0.0.1", lease_id=lease, tokens=0)
        assert isinstance(answer, Reservation)
        await limiter.release(answer, used_tokens=0)


async def test_the_holds_of_a_killed_process_end_and_give_everything_back(
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    customer = tenant()
    before = customer.balance()["available_nanos"]
    await leave_in_the_middle(start_gateway, customer, session, simulator, make_model)
    holds = customer.books.holds("held")
    assert len(holds) == 2
    assert customer.balance()["available_nanos"] == before - sum(hold.amount_nanos for hold in holds)
    assert max((hold.expires_at - hold.created_at).total_seconds() for hold in holds) <= HOLD_LIVES_S

    customer.books.end_holds()
    assert [hold.state for hold in customer.books.holds()] == ["expired", "expired"]
    assert customer.balance()["available_nanos"] == before
    assert customer.books.broken_rules() == []
