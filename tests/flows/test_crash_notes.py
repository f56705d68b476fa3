"""The note for the sweep that a stream leaves while it is under way: there from its first second to its settlement."""

import asyncio

import aiohttp
import pytest

from shared.clients.redis import Redis
from shared.ledger.late import LIST_NAMES
from tests.flows.calls import POLL_S, ask, chat
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants

# Three seconds, so that the note, which is written after one, can be seen.
LONG = "tokens=100,prompt_tokens=10,pace_ms=30"
PATIENCE_S = 10.0


async def noted(redis: Redis) -> str:
    """Return everything on the late lists."""
    return "".join([str(await redis.command("ZRANGE", name, 0, -1)) for name in LIST_NAMES])


async def noted_generation(redis: Redis, customer: Tenant) -> str:
    """Wait until a stream has left its note, and return its generation's id."""
    async with asyncio.timeout(PATIENCE_S):
        while True:
            for hold in customer.books.holds("held"):
                if hold.id in await noted(redis):
                    return hold.id
            await asyncio.sleep(POLL_S)


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
    answer = await answering
    (line,) = customer.books.usage_lines()
    assert (answer.is_done, line.usage_source, line.generation_id) == (is_done, source, generation_id)
    assert generation_id not in await noted(redis)


async def test_a_note_is_gone_when_the_stream_of_a_client_that_left_is_settled_by_its_record(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, redis: Redis, session: aiohttp.ClientSession
) -> None:
    customer, model = tenant(), make_model(LONG)
    asking = asyncio.create_task(ask(session, gateway.url, customer, chat(model, stream=True)))
    generation_id = await noted_generation(redis, customer)
    asking.cancel()
    async with asyncio.timeout(PATIENCE_S):
        while True:
            if generation_id not in await noted(redis):
                break
            await asyncio.sleep(POLL_S)
    # It goes after the settlement, never before.
    (line,) = customer.books.usage_lines()
    assert (line.usage_source, line.outcome) == ("lookup", "abandoned")
