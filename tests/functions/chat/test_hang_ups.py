import asyncio
import contextlib
import os
import signal

import aiohttp
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.functions.chat.client import HELLO, PATH, TIMEOUT
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


@pytest.mark.parametrize("provider", ["openrouter", "featherless"])
async def test_an_answer_whose_client_leaves_is_read_to_its_end_and_charged_as_the_provider_charges(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, provider: str
) -> None:
    customer, model = tenant(), make_model("tokens=60,prompt_tokens=10,pace_ms=20", providers=(provider,))
    await leave(gateway, customer, model, after_bytes=600)
    line = wait_until_settled(customer, within_s=6)
    assert (line["outcome"], line["usage_source"]) == ("completed", "provider")
    (served,) = simulator.requests(model.upstream_model)
    assert served["finished"]
    assert line["output_tokens"] == served["completion_tokens"] == 60
    assert assert_settled(customer, START) == 10 * 1_000 + 60 * 2_000


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
