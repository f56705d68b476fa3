"""Breakers as tests see and set them: in what the gateways share."""

import asyncio
from collections.abc import Callable
from enum import IntEnum

import aiohttp

from shared.clients.redis import Redis
from shared.core.clock import wall_clock_ms
from shared.routing.health import FRESH_MS
from shared.routing.offer_health import FAILURES_TO_OPEN, OPEN_MS, OfferHealth
from tests.flows.calls import Answer, ask, chat
from tests.harness.tenants import Tenant, TestModel

PROVIDER = "openrouter"


class Place(IntEnum):
    """Where a record of health has a number."""

    OPEN_UNTIL = 1
    LATENCY = 4
    LATENCY_AT = 5


async def read_record(redis: Redis, model: TestModel, provider: str = PROVIDER) -> OfferHealth:
    """Return what the gateways have told of a model at a provider."""
    text = await redis.command("HGET", f"gw:health:{model.id}", provider)
    return OfferHealth() if text is None else OfferHealth.read(str(text), wall_clock_ms())


async def read_record_when_told(redis: Redis, model: TestModel) -> OfferHealth:
    """Return it when a gateway has told of an answer's beginning.

    raises  TimeoutError
    """
    for _ in range(200):
        if (record := await read_record(redis, model)).latency_at_ms:
            return record
        await asyncio.sleep(0.1)
    raise TimeoutError("no gateway has told of an answer")


async def half_open(redis: Redis, model: TestModel, provider: str = PROVIDER) -> None:
    """Have a provider be one that may be tried again; for a model that no gateway has looked at."""
    record = f"{FAILURES_TO_OPEN} {wall_clock_ms() - 1000} 0 0 0 0 0 0 0"
    await redis.command("HSET", f"gw:health:{model.id}", provider, record)


async def change_record(redis: Redis, model: TestModel, provider: str, change: Callable[[list[float]], None]) -> None:
    """Have the instances know something else of a model at a provider, and wait until they ask."""
    numbers = [float(word) for word in str(await redis.command("HGET", f"gw:health:{model.id}", provider)).split()]
    change(numbers)
    text = " ".join(f"{number:.0f}" for number in numbers)
    await redis.command("HSET", f"gw:health:{model.id}", provider, text)
    await asyncio.sleep(FRESH_MS / 1000 + 0.1)


async def let_it_be_probed(redis: Redis, model: TestModel, provider: str = "openrouter") -> None:
    def end_now(numbers: list[float]) -> None:
        assert numbers[Place.OPEN_UNTIL] > 0
        numbers[Place.OPEN_UNTIL] -= OPEN_MS

    await change_record(redis, model, provider, end_now)


async def fail(session: aiohttp.ClientSession, url: str, customer: Tenant, model: TestModel, *, times: int) -> None:
    for _ in range(times):
        answer = await ask(session, url, customer, chat(model))
        assert (answer.status, answer.code) == (502, "provider_unavailable")


def assert_left_alone(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "providers_failing"), answer.body
    assert 1 <= int(answer.headers["Retry-After"]) <= OPEN_MS / 1000
    assert answer.headers["x-should-retry"] == "true"
