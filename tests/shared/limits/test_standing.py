"""What the limiter tells of a key that asks how much it uses."""

import aiohttp
import pytest

from shared.clients.redis import Redis
from shared.limits.headers import rate_limit_headers
from shared.limits.standing import Use, read_standings
from shared.limits.store import Limiter
from shared.limits.types import NO_LEASE, Reservation
from tests.shared.limits.support import ADDRESS, KEY, OTHER_KEY, Clock, everything_in, first_use, limits, policy, use

KNOWN = policy(
    account=limits(requests=10, tokens=1000, concurrency=4),
    key=limits(requests=3, tokens=0, concurrency=2),
)


async def test_both_subjects_are_told_with_what_they_use(limiter: Limiter) -> None:
    await first_use(limiter, KNOWN, tokens=40)
    await use(limiter, "second", tokens=2)
    await first_use(limiter, KNOWN, key=OTHER_KEY, lease_id="other", tokens=100)
    standings = await limiter.look(KNOWN, key=KEY)
    assert standings is not None
    assert (standings.account.requests.limit, standings.account.requests.used) == (10, 3)
    assert (standings.account.tokens.limit, standings.account.tokens.used) == (1000, 142)
    assert standings.account.concurrency == Use(limit=4, used=3, reset_ms=0)
    assert (standings.key.requests.limit, standings.key.requests.used) == (3, 2)
    assert (standings.key.tokens.limit, standings.key.tokens.used) == (0, 42)
    assert standings.key.concurrency == Use(limit=2, used=2, reset_ms=0)


async def test_looking_counts_nothing_and_writes_nothing(limiter: Limiter, redis: Redis) -> None:
    await first_use(limiter, KNOWN)
    before = await everything_in(redis)
    assert await limiter.look(KNOWN, key=KEY) == await limiter.look(KNOWN, key=KEY)
    assert await everything_in(redis) == before


async def test_a_look_agrees_with_the_headers_of_the_request_before_it(limiter: Limiter, clock: Clock) -> None:
    for number in range(3):
        clock.now_ms += 7_000
        if number == 0:
            reserved = await first_use(limiter, KNOWN, lease_id=NO_LEASE)
        else:
            answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0)
            assert isinstance(answer, Reservation)
            reserved = answer
        headers = rate_limit_headers(reserved.state)
        standings = await limiter.look(KNOWN, key=KEY)
        assert standings is not None
        requests = standings.key.requests
        assert headers["x-ratelimit-limit-requests"] == str(requests.limit)
        assert headers["x-ratelimit-remaining-requests"] == str(requests.limit - requests.used)
        assert reserved.state.requests is not None
        assert reserved.state.requests.reset_ms == requests.reset_ms
        assert headers["x-ratelimit-remaining-tokens"] == str(1000 - standings.account.tokens.used)


async def test_an_instance_whose_clock_is_behind_tells_what_the_others_counted(limiter: Limiter, clock: Clock) -> None:
    await first_use(limiter, KNOWN, tokens=40)
    standings = await limiter.look(KNOWN, key=KEY)
    clock.now_ms -= 90_000
    assert await limiter.look(KNOWN, key=KEY) == standings
    assert standings is not None
    assert (standings.key.requests.used, standings.account.tokens.used) == (1, 40)


async def test_what_is_a_minute_old_is_not_used_any_more(limiter: Limiter, clock: Clock) -> None:
    await first_use(limiter, KNOWN, tokens=40)
    clock.now_ms += 65_000
    standings = await limiter.look(KNOWN, key=KEY)
    assert standings is not None
    assert standings.account.requests == Use(limit=10, used=0, reset_ms=0)
    assert standings.account.concurrency.used == 0


async def test_the_policy_that_requests_are_held_to_is_told_and_the_given_one_where_there_is_none(
    limiter: Limiter,
) -> None:
    other = policy(account=limits(requests=99))
    standings = await limiter.look(other, key=KEY)
    assert standings is not None
    assert standings.account.requests == Use(limit=99, used=0, reset_ms=0)
    await first_use(limiter, KNOWN)
    standings = await limiter.look(other, key=KEY)
    assert standings is not None
    assert standings.account.requests.limit == 10


@pytest.mark.parametrize("answer", [None, [], [1] * 15, [1] * 15 + ["1"], [1] * 17, "ok"])
def test_another_answer_is_not_taken_for_numbers(answer: object) -> None:
    with pytest.raises(ValueError, match="look script"):
        read_standings(answer)


async def test_without_redis_nobody_can_tell(clock: Clock) -> None:
    async with aiohttp.ClientSession() as session:
        limiter = Limiter(Redis(session, url="http://127.0.0.1:1", token="none", deadline_s=0.5), clock)
        assert await limiter.look(KNOWN, key=KEY) is None
