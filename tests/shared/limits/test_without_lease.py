"""Requests that are over at once: they count among a minute's and take no place among those under way."""

import aiohttp
import pytest

from shared.clients.redis import Redis
from shared.limits.refusals import AddressLimited, ConcurrencyLimited, RequestsLimited, TokensLimited
from shared.limits.store import Limiter
from shared.limits.types import NO_LEASE, FailedOpen, KeyUnseen, Reservation, to_give_back
from tests.shared.limits.support import ADDRESS, KEY, Clock, everything_in, first_use, limits, policy, use


async def look(limiter: Limiter) -> Reservation:
    return await use(limiter, NO_LEASE)


async def test_a_plan_s_requests_at_once_are_not_used_up_by_looking(limiter: Limiter, redis: Redis) -> None:
    known = policy(account=limits(concurrency=1), key=limits(concurrency=1))
    await first_use(limiter, known, lease_id=NO_LEASE)
    for _ in range(3):
        await look(limiter)
    assert not [name for name in await everything_in(redis) if "leases" in name]

    await use(limiter, "a long answer", tokens=5)


async def test_who_has_all_his_requests_under_way_may_still_look(limiter: Limiter) -> None:
    await first_use(limiter, policy(account=limits(concurrency=1)), lease_id="a long answer")
    with pytest.raises(ConcurrencyLimited):
        await use(limiter, "another", tokens=1)

    await look(limiter)


async def test_who_has_used_up_a_minute_s_tokens_may_still_look(limiter: Limiter) -> None:
    reservation = await first_use(limiter, policy(key=limits(tokens=100)), lease_id="one", tokens=100)
    # More than was reserved, as a provider that counts otherwise may say.
    await limiter.release(reservation, used_tokens=150)
    with pytest.raises(TokensLimited):
        await use(limiter, "another", tokens=1)

    seen = await look(limiter)

    assert seen.state.tokens is not None and seen.state.tokens.remaining == 0


async def test_looking_counts_among_a_minute_s_requests(limiter: Limiter, clock: Clock) -> None:
    await first_use(limiter, policy(account=limits(requests=3)), lease_id=NO_LEASE)
    states = [(await look(limiter)).state.requests for _ in range(2)]
    assert [state.remaining for state in states if state is not None] == [1, 0]
    with pytest.raises(RequestsLimited) as refusal:
        await look(limiter)
    with pytest.raises(RequestsLimited):
        await use(limiter, "a completion", tokens=1)
    clock.now_ms += int(refusal.value.headers["Retry-After"]) * 1000
    await look(limiter)


async def test_there_is_nothing_to_give_back(limiter: Limiter, redis: Redis) -> None:
    reservation = await first_use(limiter, policy(key=limits(requests=9)), lease_id=NO_LEASE)
    assert to_give_back(reservation) is None
    before = await everything_in(redis)
    await limiter.release(reservation, used_tokens=0)
    assert await everything_in(redis) == before


async def test_without_redis_there_is_nothing_to_give_back_either(clock: Clock, unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        limiter = Limiter(Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token="t"), clock)
        answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0)
    assert isinstance(answer, FailedOpen)
    assert to_give_back(answer) is None


async def test_a_key_that_only_admission_knew_is_counted_late_and_held_the_next_time(limiter: Limiter) -> None:
    first = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0)
    assert isinstance(first, KeyUnseen)
    known = policy(key=limits(requests=1))
    counted = await limiter.reserve_late(first, known, key=KEY, lease_id=NO_LEASE, tokens=0)
    assert isinstance(counted, Reservation)
    with pytest.raises(RequestsLimited):
        await look(limiter)


async def test_a_request_that_failed_open_is_counted_late_by_this_instance(limiter: Limiter, redis: Redis) -> None:
    known, before = policy(key=limits(requests=1)), await everything_in(redis)
    failed = FailedOpen()
    assert await limiter.reserve_late(failed, known, key=KEY, lease_id=NO_LEASE, tokens=0) == failed
    with pytest.raises(RequestsLimited):
        await limiter.reserve_late(failed, known, key=KEY, lease_id=NO_LEASE, tokens=0)
    assert await everything_in(redis) == before


async def test_looking_with_keys_that_nobody_has_seen_counts_for_the_address(redis: Redis, clock: Clock) -> None:
    limiter = Limiter(redis, clock, address_requests_per_minute=2)
    for number in range(2):
        answer = await limiter.reserve(key=f"{number:064x}", address=ADDRESS, lease_id=NO_LEASE, tokens=0)
        assert isinstance(answer, KeyUnseen)
    with pytest.raises(AddressLimited):
        await limiter.reserve(key="f" * 64, address=ADDRESS, lease_id=NO_LEASE, tokens=0)
