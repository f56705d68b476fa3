"""Two processes with the real clock, as two instances of a function are."""

import asyncio
import multiprocessing

import aiohttp

from shared.clients.redis import Redis
from shared.core.clock import wall_clock_ms
from shared.core.verdicts import LimitsPolicy
from shared.limits.refusals import RateLimited
from shared.limits.store import Limiter
from shared.limits.types import Reservation
from tests.shared.limits.support import ADDRESS, KEY, RedisAddress, first_use, limits, policy

REQUESTS_PER_PROCESS = 60


async def _request_all(address: RedisAddress, process: int) -> int:
    async with aiohttp.ClientSession() as session:
        redis = Redis(session, url=address.url, token=address.token, deadline_s=20)
        limiter = Limiter(redis, wall_clock_ms)

        async def one(number: int) -> bool:
            lease_id = f"{process}-{number}"
            try:
                answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=lease_id, tokens=10)
            except RateLimited:
                return False
            assert isinstance(answer, Reservation)
            return True

        return sum(await asyncio.gather(*(one(number) for number in range(REQUESTS_PER_PROCESS))))


def _run_process(address: RedisAddress, process: int) -> int:
    return asyncio.run(_request_all(address, process))


async def _let_through_by_two_processes(redis: Redis, address: RedisAddress, known: LimitsPolicy) -> int:
    limiter = Limiter(redis, wall_clock_ms)
    await limiter.release(await first_use(limiter, known), used_tokens=0)
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        counts = await asyncio.to_thread(pool.starmap, _run_process, [(address, 0), (address, 1)])
    return sum(counts)


async def test_two_processes_at_once_hold_the_requests_of_a_minute(redis: Redis, redis_address: RedisAddress) -> None:
    known = policy(account=limits(requests=80), key=limits(requests=51))
    assert await _let_through_by_two_processes(redis, redis_address, known) == 50  # one was the first sight


async def test_two_processes_at_once_hold_tokens_and_concurrency(redis: Redis, redis_address: RedisAddress) -> None:
    known = policy(account=limits(tokens=300), key=limits(tokens=400, concurrency=40))
    assert await _let_through_by_two_processes(redis, redis_address, known) == 30
    await redis.command("FLUSHALL")
    known = policy(account=limits(concurrency=7), key=limits(concurrency=9))
    assert await _let_through_by_two_processes(redis, redis_address, known) == 7
