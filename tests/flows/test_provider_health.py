"""Providers that fail are left alone by every instance, and found again by one request at a time."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.core.clock import wall_clock_ms
from shared.routing.health import FRESH_MS
from shared.routing.offer_health import FAILURES_TO_OPEN
from tests.flows.breakers import assert_left_alone, fail, let_it_be_probed
from tests.flows.calls import ask, ask_at_once, chat, wait_until
from tests.flows.conftest import WiredGateway
from tests.harness.gateways import Gateways
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Fault, Wire

# Of a provider that hangs; a request that does not wait for it is done in a part of that.
PATIENCE_S = 2
STREAM: dict[str, object] = {"stream": True, "max_tokens": 20}


async def test_a_breaker_opens_for_all_gateways_and_one_probe_closes_it(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    one, other = two_gateways
    model, customer = make_model(f"status=500,fail_times={FAILURES_TO_OPEN},tokens=2"), tenant()
    await fail(session, one, customer, model, times=FAILURES_TO_OPEN)
    balance = customer.balance()
    for url in (one, other):
        assert_left_alone(await ask(session, url, customer, chat(model)))
        assert_left_alone(await ask(session, url, customer, chat(model, stream=True)))
    assert len(simulator.requests(model.upstream_model)) == FAILURES_TO_OPEN
    assert {hold.state for hold in customer.books.holds()[-4:]} == {"voided"}
    assert customer.balance() == balance

    await let_it_be_probed(redis, model)
    assert (await ask(session, other, customer, chat(model))).status == 200
    await asyncio.sleep(FRESH_MS / 1000)
    answers = await ask_at_once(session, two_gateways, customer, chat(model), count=6)
    assert {answer.status for answer in answers} == {200}


async def test_while_one_request_probes_no_other_waits(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    model, customer = make_model(f"status=500,fail_times={FAILURES_TO_OPEN},tokens=2,gate=probe"), tenant()
    simulator.open_gate("probe")
    await fail(session, two_gateways[0], customer, model, times=FAILURES_TO_OPEN)
    simulator.close_gate("probe")
    await let_it_be_probed(redis, model)
    asked = [
        asyncio.ensure_future(ask(session, two_gateways[number % 2], customer, chat(model))) for number in range(8)
    ]
    await wait_until(lambda: simulator.waiting_at("probe") == 1)
    await wait_until(lambda: sum(request.done() for request in asked) == 7)
    for request in asked:
        if request.done():
            assert_left_alone(request.result())
    assert len(simulator.requests(model.upstream_model)) == FAILURES_TO_OPEN + 1
    simulator.open_gate("probe")
    assert sorted(answer.status for answer in await asyncio.gather(*asked)) == [200] + [503] * 7


@pytest.fixture
async def silent_provider() -> AsyncIterator[str]:
    """A provider that takes requests and says nothing."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1"


async def test_no_request_waits_for_a_provider_whose_breaker_is_open(
    *,
    start_gateway: Gateways,
    silent_provider: str,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    one, other = (
        start_gateway(CHUTES_BASE_URL=silent_provider, PROVIDER_SILENCE_LIMIT_S=str(PATIENCE_S)).url for _ in range(2)
    )
    customer, model = tenant(), make_model("tokens=2", providers=("chutes", "openrouter"))
    await ask(session, other, customer, chat(make_model("tokens=1")))
    waited = await ask_at_once(session, (one,), customer, chat(model, **STREAM), count=FAILURES_TO_OPEN)
    assert {answer.headers["X-Provider"] for answer in waited} == {"openrouter"}
    assert min(answer.duration_s for answer in waited) >= PATIENCE_S
    answers = [await ask(session, url, customer, chat(model, **STREAM)) for url in (one, other) for _ in range(10)]
    assert {(answer.status, answer.headers["X-Provider"]) for answer in answers} == {(200, "openrouter")}
    assert max(answer.duration_s for answer in answers) < PATIENCE_S / 2


async def test_what_fails_at_the_start_of_a_long_answer_is_told_before_its_end(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    customer, failing = tenant(), make_model("status=500")
    long = make_model("tokens=2,gate=long")
    body = chat(failing, models=[long.id], **STREAM)
    asked = [asyncio.ensure_future(ask(session, two_gateways[0], customer, body)) for _ in range(FAILURES_TO_OPEN)]
    await wait_until(lambda: simulator.waiting_at("long") == FAILURES_TO_OPEN)

    # A request that is under way tells its news each second.
    await asyncio.sleep(2.5)
    assert_left_alone(await ask(session, two_gateways[1], customer, chat(failing)))
    simulator.open_gate("long")
    assert {answer.status for answer in await asyncio.gather(*asked)} == {200}


async def test_without_redis_an_instance_keeps_its_own_breakers_and_serves(
    *,
    stack: LocalStack,
    open_wire: Callable[[str], Wire],
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    wire = open_wire(stack.redis_rest_url)
    gateway = start_gateway(UPSTASH_REDIS_REST_URL=wire.url)
    customer, healthy, failing = tenant(), make_model("tokens=2"), make_model("status=500")
    await ask(session, gateway.url, customer, chat(healthy))
    with wire.broken(Fault(refuses=True)):
        await fail(session, gateway.url, customer, failing, times=FAILURES_TO_OPEN)
        assert_left_alone(await ask(session, gateway.url, customer, chat(failing)))
        answers = await ask_at_once(session, (gateway.url,), customer, chat(failing, models=[healthy.id]), count=10)
        assert {answer.status for answer in answers} == {200}
        assert max(answer.duration_s for answer in answers) < 2.0


async def test_health_is_heard_and_told_in_the_limiter_s_own_calls(
    wired: WiredGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model("tokens=2")
    await ask(session, wired.url, customer, chat(make_model("tokens=1")))
    wired.forget()
    started_ms = wall_clock_ms()
    for _ in range(2):
        assert (await ask(session, wired.url, customer, chat(model))).status == 200
    is_fresh = wall_clock_ms() - started_ms < FRESH_MS
    calls = [json.loads(exchange.body) for exchange in wired.redis.exchanges()]
    riders = [len(call) == 2 and isinstance(call[1], list) for call in calls]
    # The first request of a model looks; what is known is fresh for the second; both tell how it went.
    assert riders == [True, True, not is_fresh, True]
