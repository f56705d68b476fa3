from collections.abc import AsyncIterator

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.core.clock import wall_clock_ms
from shared.ledger.late import LIST_NAMES
from tests.shared.flows.late_support import Bench
from tests.shared.limits.support import Clock


@pytest.fixture
async def bench(stack: LocalStack) -> AsyncIterator[Bench]:
    async with aiohttp.ClientSession() as session:
        redis = Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
        await redis.command("DEL", *LIST_NAMES)
        yield Bench(stack, session, redis, Clock(wall_clock_ms()))
        await redis.command("DEL", *LIST_NAMES)
