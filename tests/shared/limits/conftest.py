from collections.abc import AsyncIterator

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.limits.store import Limiter
from tests.shared.limits.support import Clock, RedisAddress


@pytest.fixture(scope="session")
def redis_address(stack: LocalStack) -> RedisAddress:
    return RedisAddress(url=stack.redis_rest_url, token=stack.credentials.redis_token)


@pytest.fixture
async def redis(redis_address: RedisAddress) -> AsyncIterator[Redis]:
    async with aiohttp.ClientSession() as session:
        # A busy machine must not make these tests fail open; what happens when Redis is slow has tests of its own.
        client = Redis(session, url=redis_address.url, token=redis_address.token, deadline_s=10)
        await client.command("FLUSHALL")
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock(1_900_000_000_000)


@pytest.fixture
def limiter(redis: Redis, clock: Clock) -> Limiter:
    return Limiter(redis, clock)
