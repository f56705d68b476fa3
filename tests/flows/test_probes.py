"""A provider that may be tried again: nobody keeps it from those who would try, and whoever tries says how it went."""

import asyncio

import aiohttp
import pytest

from shared.clients.redis import Redis
from shared.keys.format import generate_secret
from tests.flows.blame import ChoosyProvider
from tests.flows.breakers import half_open, read_record
from tests.flows.calls import PATH, ask, ask_at_once, chat, wait_until
from tests.harness.gateways import Gateways
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenants

ONLY: dict[str, object] = {"provider": {"only": ["openrouter"]}}
TOOLS = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}]


async def test_a_request_that_is_refused_takes_no_probe(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    one, other = two_gateways
    customer, limited, poor = tenant(), tenant(limits=PlanLimits(requests_per_minute=1)), tenant(credit_nanos=0)
    assert (await ask(session, other, limited, chat(make_model("tokens=1")))).status == 200
    model = make_model("tokens=2")
    await half_open(redis, model)
    assert (await ask(session, other, limited, chat(model))).status == 429
    assert (await ask(session, other, poor, chat(model))).status == 402
    unknown = {"Authorization": f"Bearer {generate_secret('live')}"}
    for _ in range(2):
        async with session.post(f"{other}{PATH}", json=chat(model), headers=unknown) as response:
            assert response.status == 401
    assert (await read_record(redis, model)).probe_until_ms == 0
    for url in (one, other):
        assert (await ask(session, url, customer, chat(model))).status == 200
    assert (await read_record(redis, model)).failures == 0


async def test_a_request_that_another_answers_takes_no_probe(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    simulator: Simulator,
    redis: Redis,
) -> None:
    one, other = two_gateways
    customer, model = tenant(), make_model("tokens=2,gate=cheaper", providers=("chutes", "openrouter"))
    await half_open(redis, model)
    # The cheaper one is well, and writes on for a while.
    asked = [asyncio.ensure_future(ask(session, one, customer, chat(model, stream=True))) for _ in range(3)]
    await wait_until(lambda: simulator.waiting_at("cheaper") == 3)
    waiting = asyncio.ensure_future(ask(session, other, customer, chat(model, **ONLY)))
    await wait_until(lambda: simulator.waiting_at("cheaper") == 4)
    simulator.open_gate("cheaper")
    assert (await waiting).status == 200
    assert {answer.headers["X-Provider"] for answer in await asyncio.gather(*asked)} == {"chutes"}


async def test_of_requests_at_once_one_probes_and_the_others_go_on(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    simulator: Simulator,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=2,gate=eight", providers=("openrouter", "chutes"))
    await half_open(redis, model)
    ordered = chat(model, provider={"order": ["openrouter", "chutes"]})
    asked = asyncio.ensure_future(ask_at_once(session, two_gateways, customer, ordered, count=8))
    await wait_until(lambda: simulator.waiting_at("eight") == 8)
    simulator.open_gate("eight")
    assert sorted(answer.headers["X-Provider"] for answer in await asked) == ["chutes"] * 7 + ["openrouter"]
    assert customer.balance()["held_nanos"] == 0


async def test_a_probe_that_fails_shuts_it_again_and_the_request_goes_on(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, failing, healthy = tenant(), make_model("status=500"), make_model("tokens=2")
    await half_open(redis, failing)
    assert (await ask(session, two_gateways[0], customer, chat(failing, models=[healthy.id]))).status == 200
    answer = await ask(session, two_gateways[1], customer, chat(failing))
    assert (answer.status, answer.code) == (503, "providers_failing")
    assert int(answer.headers["Retry-After"]) > 25


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_probe_that_says_nothing_is_another_s_at_once(
    *,
    is_stream: bool,
    choosy_provider: ChoosyProvider,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    simulator: Simulator,
    redis: Redis,
) -> None:
    one, other = (start_gateway(OPENROUTER_BASE_URL=choosy_provider.url).url for _ in range(2))
    customer, model = tenant(), make_model(f"tokens=2,gate=rest{is_stream}", providers=("openrouter", "chutes"))
    await half_open(redis, model)
    order = {"order": ["openrouter", "chutes"]}
    asked = asyncio.ensure_future(
        ask(session, one, customer, chat(model, tools=TOOLS, provider=order, stream=is_stream))
    )
    await wait_until(lambda: simulator.waiting_at(f"rest{is_stream}") == 1)
    # A request that is under way tells its news each second.
    await asyncio.sleep(2)
    assert (await read_record(redis, model)).probe_until_ms == 0
    assert (await ask(session, other, customer, chat(model, max_tokens=5, **ONLY))).status == 200
    simulator.open_gate(f"rest{is_stream}")
    assert (await asked).headers["X-Provider"] == "chutes"
