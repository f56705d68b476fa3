import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.core.ids import AccountId, KeyId
from shared.limits.refusals import RateLimited, RequestsLimited
from shared.limits.store import COOL_DOWN_MS, Limiter
from shared.limits.types import FailedOpen, RateState, Reservation, to_give_back
from tests.harness.wire import Fault, Wire
from tests.shared.limits.support import ADDRESS, KEY, Clock, RedisAddress, first_use, limits, policy, use

RESERVATION = Reservation(
    lease_id="x",
    account_id=AccountId(1),
    key_id=KeyId(1),
    key=KEY,
    bucket=1,
    tokens=1,
    state=RateState(requests=None, tokens=None),
)


class SlowRedis:
    """Stands where Redis stands: counts the calls, and answers after a while."""

    def __init__(self) -> None:
        self.calls = 0
        self.delay_s = 5.0
        self.answer: object = {"result": ["unseen", ""]}

    async def serve(self, request: web.Request) -> web.Response:
        self.calls += 1
        await asyncio.sleep(self.delay_s)
        return web.json_response(self.answer)


@pytest.fixture
def slow() -> SlowRedis:
    return SlowRedis()


@pytest.fixture
async def slow_limiter(slow: SlowRedis, clock: Clock) -> AsyncIterator[Limiter]:
    app = web.Application()
    app.router.add_post("/", slow.serve)
    async with TestServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as session:
        yield Limiter(Redis(session, url=str(server.make_url("/")), token="t"), clock)


@pytest.fixture
async def limiter_without_redis(clock: Clock, unused_tcp_port: int) -> AsyncIterator[Limiter]:
    async with aiohttp.ClientSession() as session:
        yield Limiter(Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token="t"), clock)


def events(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [json.loads(line)["event"] for line in capsys.readouterr().out.splitlines()]


async def reserve(limiter: Limiter) -> object:
    return await limiter.reserve(key=KEY, address=ADDRESS, lease_id="x", tokens=1)


async def test_redis_down_lets_the_request_through_at_once(
    limiter_without_redis: Limiter, capsys: pytest.CaptureFixture[str]
) -> None:
    started_s = time.monotonic()
    assert await reserve(limiter_without_redis) == FailedOpen()
    assert time.monotonic() - started_s < 0.2
    assert events(capsys) == ["limiter_failed_open"]


async def test_a_stopped_redis_lets_requests_through_and_counts_again_when_it_is_back(
    stack: LocalStack, redis_address: RedisAddress, clock: Clock
) -> None:
    async with aiohttp.ClientSession() as session:
        limiter = Limiter(Redis(session, url=redis_address.url, token=redis_address.token), clock)
        with stack.without("redis"):
            started_s = time.monotonic()
            assert await reserve(limiter) == FailedOpen()
            assert time.monotonic() - started_s < 1.0
        async with asyncio.timeout(10):
            while await reserve(limiter) == FailedOpen():
                clock.now_ms += COOL_DOWN_MS


async def test_a_slow_redis_costs_one_request_a_quarter_second_and_the_next_ones_nothing(
    slow_limiter: Limiter, slow: SlowRedis, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    started_s = time.monotonic()
    assert await reserve(slow_limiter) == FailedOpen()
    assert 0.2 < time.monotonic() - started_s < 1.0

    started_s = time.monotonic()
    for _ in range(50):
        assert await reserve(slow_limiter) == FailedOpen()
    assert time.monotonic() - started_s < 0.2

    assert slow.calls == 1
    assert events(capsys) == ["limiter_failed_open"]
    clock.now_ms += COOL_DOWN_MS
    await reserve(slow_limiter)
    assert slow.calls == 2


async def test_redis_is_used_again_after_the_cool_down(slow_limiter: Limiter, slow: SlowRedis, clock: Clock) -> None:
    await reserve(slow_limiter)
    slow.delay_s = 0
    clock.now_ms += COOL_DOWN_MS
    assert await reserve(slow_limiter) != FailedOpen()


async def test_requests_that_wait_together_are_logged_as_one_failure(
    slow_limiter: Limiter, capsys: pytest.CaptureFixture[str]
) -> None:
    answers = await asyncio.gather(*(reserve(slow_limiter) for _ in range(20)))
    assert answers == [FailedOpen()] * 20
    assert events(capsys) == ["limiter_failed_open"]


@pytest.mark.parametrize(
    "result",
    [None, "OK", [], ["reserved"], ["reserved", 1, 1, 2, 3], ["refused", "key", "x", 1, 1]],
)
async def test_an_answer_in_another_form_fails_open(slow_limiter: Limiter, slow: SlowRedis, result: object) -> None:
    slow.delay_s = 0
    slow.answer = {"result": result}
    assert await reserve(slow_limiter) == FailedOpen()


async def test_without_redis_this_instance_holds_the_requests_of_a_minute(
    limiter_without_redis: Limiter, clock: Clock
) -> None:
    known = policy(key=limits(requests=3))
    assert await reserve(limiter_without_redis) == FailedOpen()
    limiter_without_redis.reserve_locally(known)
    for _ in range(2):
        answer = await limiter_without_redis.reserve_with_policy(known, key=KEY, lease_id="x", tokens=1)
        assert answer == FailedOpen()
    with pytest.raises(RequestsLimited) as refusal:
        await limiter_without_redis.reserve_with_policy(known, key=KEY, lease_id="x", tokens=1)
    clock.now_ms += int(refusal.value.headers["Retry-After"]) * 1000
    limiter_without_redis.reserve_locally(known)


async def test_nothing_but_a_reservation_raises_without_redis(
    limiter_without_redis: Limiter, capsys: pytest.CaptureFixture[str]
) -> None:
    await limiter_without_redis.release(RESERVATION, used_tokens=1)
    await limiter_without_redis.renew(RESERVATION)
    await limiter_without_redis.remember_unknown(KEY)
    await limiter_without_redis.forget_policies([KEY])
    await limiter_without_redis.drop_policy(KEY)
    assert events(capsys) == [
        "limiter_release_failed",
        "limiter_renew_failed",
        "limiter_remember_failed",
        "limiter_forget_failed",
        "limiter_forget_failed",
    ]


@pytest.mark.parametrize("is_known", [True, False], ids=["known-key", "first-sight"])
async def test_what_redis_reserved_too_late_is_given_back_when_the_request_ends(
    open_wire: Callable[[str], Wire], redis: Redis, redis_address: RedisAddress, clock: Clock, *, is_known: bool
) -> None:
    known = policy(account=limits(tokens=100, concurrency=1), key=limits(tokens=100, concurrency=1))
    wire = open_wire(redis_address.url)
    async with aiohttp.ClientSession() as session:
        limiter = Limiter(Redis(session, url=wire.url, token=redis_address.token), clock)
        if is_known:
            await limiter.release(await first_use(limiter, known), used_tokens=0)
        with wire.broken(Fault(answer_delay_s=0.4)):
            if is_known:
                answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id="late", tokens=90)
            else:
                answer = await limiter.reserve_with_policy(known, key=KEY, lease_id="late", tokens=90)
        clock.now_ms += COOL_DOWN_MS
        with pytest.raises(RateLimited):
            await use(limiter, "too-early", tokens=20)
        possible = to_give_back(answer)
        assert possible is not None
        await limiter.release(possible, used_tokens=10)
        await use(limiter, "next", tokens=90)


async def test_in_a_cool_down_there_is_nothing_to_give_back(limiter_without_redis: Limiter) -> None:
    await reserve(limiter_without_redis)
    answer = await limiter_without_redis.reserve(key=KEY, address=ADDRESS, lease_id="x", tokens=1)
    assert answer == FailedOpen()
    assert to_give_back(answer) is None
