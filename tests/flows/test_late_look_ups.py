"""What a provider tells of an answer only after a while is charged when it tells."""

import asyncio
import time

import aiohttp

from shared.clients.redis import Redis
from shared.ledger.late import LOOK_UPS_NAME
from tests.flows.calls import ask, chat, wait_until
from tests.flows.conftest import CRON_SECRET, WiredGateway, sweep_at
from tests.functions.chat.client import PATH
from tests.harness.gateways import Gateways
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel
from tests.harness.wire import Fault

# Longer than the gateway looks for a record by itself.
LATE_RECORD_MS = 6_000
PACE = "tokens=200,prompt_tokens=10,pace_ms=20"


async def leave_in_the_middle(wired: WiredGateway, customer: Tenant, model: TestModel) -> None:
    async with (
        aiohttp.ClientSession(headers=customer.headers) as session,
        session.post(wired.url + PATH, json=chat(model, stream=True)) as response,
    ):
        await response.content.readexactly(1_000)
        response.close()


async def test_a_record_that_comes_late_is_what_is_charged(
    wired: WiredGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer = tenant()
    model = make_model(f"{PACE},reasoning_tokens=700,record_after_ms={LATE_RECORD_MS}")
    await leave_in_the_middle(wired, customer, model)
    await wait_until(lambda: bool(simulator.requests(model.upstream_model)[0]["ended_at"]))
    ended_s = time.monotonic()
    await asyncio.sleep(4.5)
    assert customer.books.usage_lines() == []
    assert len(customer.books.holds("held")) == 1
    while not customer.books.usage_lines():
        assert time.monotonic() < ended_s + 30
        await wired.sweep()
        await asyncio.sleep(0.5)
    (line,) = customer.books.usage_lines()
    (served,) = simulator.requests(model.upstream_model)
    assert (line.usage_source, line.outcome) == ("lookup", "abandoned")
    assert line.output_tokens == served["completion_tokens"] == served["tokens_sent"] + 700
    assert line.charged_nanos == 10 * 1_000 + line.output_tokens * 2_000
    assert customer.books.broken_rules() == []


async def test_a_provider_that_goes_on_although_it_was_stopped_is_paid_for_what_it_did(
    wired: WiredGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model(f"{PACE},on_cancel=finish")
    await leave_in_the_middle(wired, customer, model)
    async with asyncio.timeout(40):
        while not customer.books.usage_lines():
            await wired.sweep()
            await asyncio.sleep(0.5)
    (line,) = customer.books.usage_lines()
    (served,) = simulator.requests(model.upstream_model)
    assert line.output_tokens == served["completion_tokens"] == 200
    assert line.usage_source == "lookup"
    assert customer.books.broken_rules() == []


async def test_without_redis_what_passed_is_charged_at_once(
    wired: WiredGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model(f"{PACE},record_after_ms={LATE_RECORD_MS}")
    with wired.redis.broken(Fault(status=500, matches=lambda exchange: b"gw:late" in exchange.body)):
        await leave_in_the_middle(wired, customer, model)
        await wait_until(lambda: bool(customer.books.usage_lines()))
    (line,) = customer.books.usage_lines()
    assert (line.usage_source, line.outcome) == ("counted", "abandoned")
    assert 0 < line.output_tokens < 200
    assert customer.books.holds("held") == []
    assert customer.books.broken_rules() == []


async def test_a_crash_note_that_redis_did_not_take_is_written_again(
    wired: WiredGateway, tenant: Tenants, make_model: Models, redis: Redis, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model("tokens=60,prompt_tokens=10,pace_ms=100")
    with wired.redis.broken(Fault(status=500, matches=lambda exchange: b"gw:late" in exchange.body), times=1):
        answering = asyncio.create_task(ask(session, wired.url, customer, chat(model, stream=True)))
        await asyncio.sleep(3.5)
    (hold,) = customer.books.holds("held")
    assert hold.id in await noted(redis)
    assert (await answering).is_done
    assert hold.id not in await noted(redis)


async def test_sweeps_beside_a_request_that_is_under_way_leave_it_to_itself(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    # A request may take 5 s here, and its hold lives for 6.
    gateway = start_gateway(FUNCTION_TIME_LIMIT_S="25", HOLD_GRACE_S="1", CRON_SECRET=CRON_SECRET)
    customer, model = tenant(), make_model("tokens=46,prompt_tokens=10,pace_ms=100")
    answering = asyncio.create_task(ask(session, gateway.url, customer, chat(model, stream=True)))
    while not answering.done():
        await asyncio.sleep(0.3)
        await sweep_at(gateway.url)
    assert (await answering).is_done
    (line,) = customer.books.usage_lines()
    assert (line.usage_source, line.charged_nanos) == ("provider", 10 * 1_000 + 46 * 2_000)


async def noted(redis: Redis) -> str:
    return str(await redis.command("ZRANGE", LOOK_UPS_NAME, 0, -1))
