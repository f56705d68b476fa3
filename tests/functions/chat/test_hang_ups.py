import asyncio
import contextlib
import os
import signal

import aiohttp
import psycopg
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.functions.chat.client import HELLO, PATH, TIMEOUT, post
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

START = 10 * NANOS_PER_DOLLAR


async def leave(gateway: RunningGateway, tenant: Tenant, model: TestModel, *, after_bytes: int) -> None:
    """Ask for a stream and hang up once so many bytes have come."""
    body = {"model": model.id, "messages": HELLO, "stream": True}
    async with (
        aiohttp.ClientSession(headers=tenant.headers, timeout=TIMEOUT) as session,
        session.post(gateway.url + PATH, json=body) as response,
    ):
        await response.content.readexactly(after_bytes)
        response.close()


SDK = {"x-stainless-retry-count": "0"}
# Six seconds, so that there is time to leave early and to leave late.
SLOW = "tokens=60,prompt_tokens=10,pace_ms=100"
# For an answer that nobody bounded.
HELD_TOKENS = 4_096
READ_EXTENSIONS = "select extensions from gateway.holds where account_id = %s"


async def test_an_answer_whose_client_leaves_is_read_to_its_end_where_the_provider_keeps_no_record(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=60,prompt_tokens=10,pace_ms=20", providers=("featherless",))
    await leave(gateway, customer, model, after_bytes=600)
    line = wait_until_settled(customer, within_s=6)
    assert (line["outcome"], line["usage_source"]) == ("completed", "provider")
    (served,) = simulator.requests(model.upstream_model)
    assert served["finished"]
    assert line["output_tokens"] == served["completion_tokens"] == 60
    assert assert_settled(customer, START) == 10 * 1_000 + 60 * 2_000


@pytest.mark.parametrize("reasoning_tokens", [0, 500])
async def test_a_provider_that_keeps_a_record_is_stopped_and_charged_for_by_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, reasoning_tokens: int
) -> None:
    customer = tenant()
    model = make_model(f"{SLOW},reasoning_tokens={reasoning_tokens}", providers=("openrouter",))
    await leave(gateway, customer, model, after_bytes=600)
    line = await asyncio.to_thread(wait_until_settled, customer, 6)
    assert (line["outcome"], line["usage_source"]) == ("abandoned", "lookup")
    (served,) = simulator.requests(model.upstream_model)
    assert served["client_left"]
    assert served["tokens_sent"] < 60
    assert line["upstream_id"] == served["id"]
    assert line["output_tokens"] == served["completion_tokens"] == served["tokens_sent"] + reasoning_tokens
    assert line["reasoning_tokens"] == reasoning_tokens
    assert line["provider_cost_nanos"] == line["cost_nanos"] == 10 * 1_000 + line["output_tokens"] * 2_000
    assert assert_settled(customer, START) == line["cost_nanos"]


@pytest.mark.parametrize(
    ("part", "is_finished"),
    [
        ({"type": "text", "text": "Hello", "cache_control": {"type": "ephemeral"}}, True),
        ({"type": "text", "text": 'Say "cache_control"'}, False),
    ],
)
async def test_a_request_that_may_write_to_a_cache_is_read_on_because_a_record_does_not_tell_of_it(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    part: dict[str, object],
    is_finished: bool,
) -> None:
    customer = tenant()
    model = make_model("tokens=60,prompt_tokens=10,pace_ms=20", providers=("openrouter",))
    body = {"model": model.id, "messages": [{"role": "user", "content": [part]}], "stream": True}
    async with (
        aiohttp.ClientSession(headers=customer.headers, timeout=TIMEOUT) as session,
        session.post(gateway.url + PATH, json=body) as response,
    ):
        await response.content.readexactly(600)
        response.close()
    line = await asyncio.to_thread(wait_until_settled, customer, 6)
    assert simulator.requests(model.upstream_model)[0]["finished"] is is_finished
    assert assert_settled(customer, START) == line["cost_nanos"]


@pytest.mark.parametrize(("after_s", "is_finished"), [(0.5, True), (2.6, False)])
async def test_an_sdk_that_leaves_at_once_may_not_have_seen_the_answer_begin_and_one_that_leaves_late_has(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    after_s: float,
    is_finished: bool,
) -> None:
    customer, model = tenant(), make_model(SLOW, providers=("openrouter",))
    body = {"model": model.id, "messages": HELLO, "stream": True}
    async with aiohttp.ClientSession(headers={**customer.headers, **SDK}) as session:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s), session.post(gateway.url + PATH, json=body) as response:
                await response.read()
    line = await asyncio.to_thread(wait_until_settled, customer, 10)
    (served,) = simulator.requests(model.upstream_model)
    assert served["finished"] is is_finished
    assert line["output_tokens"] == served["completion_tokens"]
    assert line["usage_source"] == ("provider" if is_finished else "lookup")
    assert assert_settled(customer, START) == line["cost_nanos"]


@pytest.mark.parametrize("kind", [{}, {"stream": True}], ids=["whole", "stream"])
async def test_an_sdk_that_leaves_before_the_first_byte_finds_the_answer_when_it_asks_again(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    kind: dict[str, bool],
) -> None:
    customer = tenant()
    model = make_model("tokens=30,prompt_tokens=10,first_byte_ms=600,pace_ms=20", providers=("openrouter",))
    body = {"model": model.id, "messages": HELLO, **kind}
    short = aiohttp.ClientTimeout(total=0.3)
    async with aiohttp.ClientSession(headers={**customer.headers, **SDK}, timeout=short) as session:
        with contextlib.suppress(TimeoutError):
            await session.post(gateway.url + PATH, json=body)
    line = await asyncio.to_thread(wait_until_settled, customer, 6)
    assert (line["outcome"], line["usage_source"], line["output_tokens"]) == ("completed", "provider", 30)
    again = await post(gateway.url, body, {**customer.headers, "x-stainless-retry-count": "1"})
    assert again.headers["Idempotent-Replayed"] == "true"
    assert b"tok29" in again.raw
    (served,) = simulator.requests(model.upstream_model)
    assert served["finished"]
    assert assert_settled(customer, START) == 10 * 1_000 + 30 * 2_000


async def test_a_hold_does_not_grow_for_a_client_that_has_left(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    model = make_model("tokens=9000,prompt_tokens=10,pace_ms=1", providers=("featherless",))
    await leave(gateway, customer, model, after_bytes=600)
    line = await asyncio.to_thread(wait_until_settled, customer, 40)
    (hold,) = await asyncio.to_thread(customer.books.holds)
    assert _extensions(customer) == 0
    assert (line["outcome"], line["usage_source"]) == ("abandoned", "counted")
    # The word that passes the hold's last token is charged as it was sent.
    assert HELD_TOKENS <= line["output_tokens"] < HELD_TOKENS + 2
    assert line["shortfall_nanos"] == 0
    assert assert_settled(customer, START) == line["cost_nanos"] <= hold.amount_nanos


@pytest.mark.parametrize("platform", ["vercel", "lambda"])
async def test_where_a_function_may_freeze_after_a_hang_up_the_answer_is_read_to_its_end(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, simulator: Simulator, platform: str
) -> None:
    gateway = start_gateway(CLIENT_ADDRESS_SOURCE=platform)
    customer = tenant()
    model = make_model("tokens=60,prompt_tokens=10,pace_ms=20", providers=("openrouter",))
    await leave(gateway, customer, model, after_bytes=600)
    line = await asyncio.to_thread(wait_until_settled, customer, 6)
    assert simulator.requests(model.upstream_model)[0]["finished"]
    assert line["output_tokens"] == 60
    assert assert_settled(customer, START) == 10 * 1_000 + 60 * 2_000


async def test_a_stream_that_its_provider_cut_is_charged_by_the_provider_s_record(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer = tenant()
    script = "tokens=60,prompt_tokens=10,reasoning_tokens=300,at=20,cut=mid_stream"
    model = make_model(script, providers=("openrouter",))
    async with (
        aiohttp.ClientSession(headers=customer.headers, timeout=TIMEOUT) as session,
        session.post(gateway.url + PATH, json={"model": model.id, "messages": HELLO, "stream": True}) as response,
    ):
        assert b"stream_interrupted" in await response.read()
    line = wait_until_settled(customer, within_s=1)
    assert (line["outcome"], line["usage_source"]) == ("interrupted", "lookup")
    assert line["output_tokens"] == simulator.requests(model.upstream_model)[0]["completion_tokens"] == 320
    assert assert_settled(customer, START) == 10 * 1_000 + 320 * 2_000


async def test_an_answer_that_breaks_after_its_client_has_left_is_charged_for_what_arrived(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    model = make_model("tokens=60,prompt_tokens=10,pace_ms=20,at=40,cut=mid_stream", providers=("featherless",))
    await leave(gateway, customer, model, after_bytes=600)
    line = wait_until_settled(customer, within_s=6)
    assert (line["outcome"], line["usage_source"]) == ("abandoned", "counted")
    assert 40 <= line["output_tokens"] < 80
    assert assert_settled(customer, START) == line["cost_nanos"]


@pytest.mark.parametrize("is_stream", [False, True])
async def test_who_leaves_before_the_answer_begins_is_charged_once_and_holds_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, is_stream: bool
) -> None:
    customer, model = tenant(), make_model("tokens=30,prompt_tokens=10,first_byte_ms=600", providers=("featherless",))
    body = {"model": model.id, "messages": HELLO, "stream": is_stream}
    short = aiohttp.ClientTimeout(total=0.3)
    async with aiohttp.ClientSession(headers=customer.headers, timeout=short) as session:
        with contextlib.suppress(TimeoutError):
            await session.post(gateway.url + PATH, json=body)
    line = wait_until_settled(customer, within_s=6)
    assert line["output_tokens"] == 30
    assert assert_settled(customer, START) == 10 * 1_000 + 30 * 2_000


async def test_a_reader_that_stands_still_is_charged_before_the_platform_ends_the_request(
    short_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    model = make_model("tokens=100000", max_output_tokens=200_000, providers=("featherless",))
    body = {"model": model.id, "messages": HELLO, "stream": True}
    async with (
        aiohttp.ClientSession(headers=customer.headers, timeout=TIMEOUT, read_bufsize=1024) as session,
        session.post(short_gateway.url + PATH, json=body) as response,
    ):
        line = await asyncio.to_thread(wait_until_settled, customer, 8)
        response.close()
    assert line["outcome"] in {"abandoned", "interrupted"}
    assert assert_settled(customer, START) > 0


async def test_a_function_that_is_told_to_stop_settles_what_is_under_way(
    start_gateway: Gateways, tenant: Tenants, make_model: Models
) -> None:
    gateway = start_gateway()
    talking, silent = tenant(), tenant()
    scripts = {talking: "tokens=500,pace_ms=50", silent: "hang=before_headers"}
    requests = [
        asyncio.create_task(_read(gateway, customer, make_model(script, providers=("featherless",))))
        for customer, script in scripts.items()
    ]
    await asyncio.sleep(0.7)
    os.kill(gateway.pid, signal.SIGTERM)
    for customer in scripts:
        await asyncio.to_thread(wait_until_settled, customer, 12)
    await asyncio.gather(*requests)
    assert wait_until_settled(talking)["outcome"] == "interrupted"
    assert assert_settled(talking, START) > 0
    assert wait_until_settled(silent)["waived_reason"] == "no_answer"
    assert assert_settled(silent, START) == 0


async def _read(gateway: RunningGateway, tenant: Tenant, model: TestModel) -> None:
    body = {"model": model.id, "messages": HELLO, "stream": True}
    async with aiohttp.ClientSession(headers=tenant.headers, timeout=TIMEOUT) as session:
        with contextlib.suppress(aiohttp.ClientError):
            async with session.post(gateway.url + PATH, json=body) as response:
                await response.read()


def _extensions(tenant: Tenant) -> int:
    with psycopg.connect(tenant.database_url, autocommit=True) as session:
        ((extensions,),) = session.execute(READ_EXTENSIONS.encode(), (tenant.account_id,)).fetchall()
    return int(extensions)
