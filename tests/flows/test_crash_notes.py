"""The note for the sweep that a stream leaves while it is under way: there from its first second to its settlement."""

import asyncio
import contextlib

import aiohttp
import pytest

from shared.clients.redis import Redis
from shared.ledger.late import LIST_NAMES
from tests.flows.calls import Answer, ask, chat, wait_until
from tests.functions.chat.client import PATH
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

# Two seconds, so that the note is written.
LONG = "tokens=100,prompt_tokens=10,pace_ms=20"
NOTED_BY_S = 1.6


async def noted(redis: Redis) -> str:
    """Return everything on the late lists."""
    return "".join([str(await redis.command("ZRANGE", name, 0, -1)) for name in LIST_NAMES])


async def noted_generation(redis: Redis, customer: Tenant) -> str:
    """Wait until a stream has left its note, and return its generation's id."""
    await asyncio.sleep(NOTED_BY_S)
    (hold,) = customer.books.holds("held")
    assert hold.id in await noted(redis)
    return hold.id


@pytest.mark.parametrize(
    ("script", "is_done", "source"),
    [(LONG, True, "provider"), (f"{LONG},at=95,cut=mid_stream", False, "lookup")],
    ids=["whole", "cut"],
)
async def test_a_note_is_gone_when_its_stream_is_settled(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    redis: Redis,
    session: aiohttp.ClientSession,
    script: str,
    is_done: bool,
    source: str,
) -> None:
    customer, model = tenant(), make_model(script)
    answering = asyncio.create_task(ask(session, gateway.url, customer, chat(model, stream=True)))
    generation_id = await noted_generation(redis, customer)
    answer: Answer = await answering
    (line,) = customer.books.usage_lines()
    assert (answer.is_done, line.usage_source, line.generation_id) == (is_done, source, generation_id)
    assert generation_id not in await noted(redis)


async def test_a_note_is_gone_when_the_stream_of_a_client_that_left_is_settled_by_its_record(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, redis: Redis
) -> None:
    customer, model = tenant(), make_model(LONG)
    leaving = asyncio.create_task(leave_after(gateway, customer, model, after_s=NOTED_BY_S + 0.2))
    generation_id = await noted_generation(redis, customer)
    await leaving
    await wait_until(lambda: bool(customer.books.usage_lines()))
    (line,) = customer.books.usage_lines()
    assert (line.usage_source, line.outcome) == ("lookup", "abandoned")
    # It goes after the settlement, never before.
    await asyncio.sleep(0.5)
    assert generation_id not in await noted(redis)


async def leave_after(gateway: RunningGateway, customer: Tenant, model: TestModel, *, after_s: float) -> None:
    timeout = aiohttp.ClientTimeout(total=after_s)
    async with aiohttp.ClientSession(headers=customer.headers, timeout=timeout) as session:
        with contextlib.suppress(TimeoutError):
            async with session.post(gateway.url + PATH, json=chat(model, stream=True)) as response:
                await response.read()
