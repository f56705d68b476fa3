from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.routing.health import ProviderHealth
from shared.routing.store import SharedHealth
from tests.shared.limits.support import Clock
from tests.shared.routing.support import Instance


@pytest.fixture
async def redis(stack: LocalStack) -> AsyncIterator[Redis]:
    async with aiohttp.ClientSession() as session:
        # A busy machine must not make these tests fail open.
        client = Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
        await client.command("FLUSHALL")
        yield client


@pytest.fixture
def clock() -> Clock:
    return Clock(1_900_000_000_000)


@pytest.fixture
def make_instance(redis: Redis, clock: Clock) -> Callable[[], Instance]:
    def make() -> Instance:
        memory = ProviderHealth(clock)
        return Instance(redis, memory, SharedHealth(redis, memory))

    return make
