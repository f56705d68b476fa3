"""Streams that stay open: what they cost the requests beside them, and what a stop of the process does to them."""

import asyncio
import json
import os
import signal
import statistics
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from tests.flows.calls import PATH, Answer, ask, chat, client, wait_until
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

OPEN_STREAMS = 50
RUNS = 5
REQUESTS_PER_RUN = 20
SLOWED_AT_MOST = 3.0
STOPPED_STREAMS = 10


@asynccontextmanager
async def open_streams(url: str, customer: Tenant, model: TestModel) -> AsyncIterator[None]:
    """Keep streams open and read them; all have brought something before the block, none has ended after it."""
    pieces = [0] * OPEN_STREAMS

    async def read(number: int, session: aiohttp.ClientSession) -> None:
        async with session.post(f"{url}{PATH}", json=chat(model, stream=True), headers=customer.headers) as response:
            assert response.status == 200
            async for _ in response.content.iter_any():
                pieces[number] += 1

    async with client() as session:
        readers = [asyncio.create_task(read(number, session)) for number in range(OPEN_STREAMS)]
        try:
            await wait_until(lambda: all(pieces))
            yield
            assert not any(reader.done() for reader in readers)
        finally:
            for reader in readers:
                reader.cancel()
            await asyncio.gather(*readers, return_exceptions=True)


async def median_duration_s(session: aiohttp.ClientSession, url: str, customer: Tenant, model: TestModel) -> float:
    """Return the median of the runs' medians."""
    runs = []
    for _ in range(RUNS):
        answers = [await ask(session, url, customer, chat(model)) for _ in range(REQUESTS_PER_RUN)]
        assert {answer.status for answer in answers} == {200}
        runs.append(statistics.median(answer.duration_s for answer in answers))
    return statistics.median(runs)


async def test_a_short_request_is_hardly_slowed_by_50_open_streams(
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    gateway, customer = start_gateway(), tenant()
    short, slow = make_model("tokens=5"), make_model("tokens=240,pace_ms=50")
    await median_duration_s(session, gateway.url, customer, short)
    idle_s = await median_duration_s(session, gateway.url, customer, short)
    async with open_streams(gateway.url, customer, slow):
        busy_s = await median_duration_s(session, gateway.url, customer, short)
    assert busy_s < SLOWED_AT_MOST * idle_s, f"idle {idle_s * 1000:.1f} ms, busy {busy_s * 1000:.1f} ms"
    # They are read to their end although nobody listens any more.
    await wait_until(lambda: not customer.books.holds("held"), within_s=30)
    assert len(customer.books.usage_lines()) == 3 * RUNS * REQUESTS_PER_RUN + OPEN_STREAMS
    assert customer.books.broken_rules() == []


async def stop_in_the_middle(
    gateway: RunningGateway,
    customer: Tenant,
    model: TestModel,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> list[Answer]:
    """Ask for streams, tell the process to stop once the provider has all of them, and return what came."""
    streams = [
        asyncio.ensure_future(ask(session, gateway.url, customer, chat(model, stream=True)))
        for _ in range(STOPPED_STREAMS)
    ]
    await asyncio.to_thread(simulator.wait_for, STOPPED_STREAMS, model.upstream_model)
    await asyncio.sleep(0.3)
    os.kill(gateway.pid, signal.SIGTERM)
    answers = await asyncio.gather(*streams, return_exceptions=True)
    await asyncio.to_thread(gateway.stop)
    return [answer for answer in answers if isinstance(answer, Answer)]


async def test_a_stop_lets_open_streams_end_and_settles_them(
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    gateway, customer, model = start_gateway(), tenant(), make_model("tokens=40,pace_ms=50")
    answers = await stop_in_the_middle(gateway, customer, model, simulator, session)
    assert [answer.is_done for answer in answers] == [True] * STOPPED_STREAMS
    lines = customer.books.usage_lines()
    assert [(line.outcome, line.output_tokens) for line in lines] == [("completed", 40)] * STOPPED_STREAMS
    assert customer.books.holds("held") == []
    assert customer.books.broken_rules() == []


async def test_a_stop_settles_the_streams_that_it_has_to_break_off(
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    gateway, customer, model = start_gateway(), tenant(), make_model("tokens=400,pace_ms=50")
    await stop_in_the_middle(gateway, customer, model, simulator, session)
    log = [json.loads(line) for line in gateway.log_text().splitlines() if line.startswith("{")]
    assert [line for line in log if line["event"] == "settlement_failed"] == []
    assert customer.books.holds("held") == []
    lines = customer.books.usage_lines()
    assert len(lines) == STOPPED_STREAMS
    assert all(0 < line.output_tokens < 400 for line in lines)
    assert customer.books.broken_rules() == []
