"""A change of limits against requests whose limits were told before it."""

import pytest

from shared.clients.redis import Redis
from shared.limits.refusals import AddressLimited, RequestsLimited
from shared.limits.store import Limiter
from shared.limits.types import NO_LEASE, KeyUnknown, KeyUnseen, Reservation
from tests.shared.limits.support import ADDRESS, KEY, OTHER_KEY, Clock, everything_in, first_use, limits, policy

BEFORE, AFTER = policy(key=limits(requests=100)), policy(key=limits(requests=2))


async def sight(limiter: Limiter) -> KeyUnseen:
    answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0)
    assert isinstance(answer, KeyUnseen)
    return answer


async def test_what_was_told_before_a_change_is_used_and_not_kept(limiter: Limiter, redis: Redis) -> None:
    under_way = await sight(limiter)
    await limiter.forget_policies([KEY, OTHER_KEY])

    late = await limiter.reserve_late(under_way, BEFORE, key=KEY, lease_id=NO_LEASE, tokens=0)

    assert isinstance(late, Reservation)
    assert late.state.requests is not None and late.state.requests.limit == 100
    assert f"gw:policy:{KEY}" not in await everything_in(redis)
    again = await sight(limiter)
    await limiter.reserve_late(again, AFTER, key=KEY, lease_id=NO_LEASE, tokens=0)
    with pytest.raises(RequestsLimited, match="2 requests per minute"):
        await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0)


async def test_of_two_changes_the_first_one_s_limits_are_not_kept_either(limiter: Limiter, redis: Redis) -> None:
    await limiter.forget_policies([KEY])
    between = await sight(limiter)
    await limiter.forget_policies([KEY])
    await limiter.reserve_late(between, BEFORE, key=KEY, lease_id=NO_LEASE, tokens=0)
    assert f"gw:policy:{KEY}" not in await everything_in(redis)


async def test_what_is_told_after_a_change_is_kept_at_once(redis: Redis, clock: Clock) -> None:
    # A busy key is not to pass its address's bucket with every request.
    limiter = Limiter(redis, clock, address_requests_per_minute=1)
    await limiter.forget_policies([KEY])
    await limiter.reserve_late(await sight(limiter), policy(), key=KEY, lease_id=NO_LEASE, tokens=0)
    for _ in range(5):
        answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0)
        assert isinstance(answer, Reservation)


async def test_the_mark_of_a_change_goes_by_itself(limiter: Limiter, redis: Redis) -> None:
    await limiter.forget_policies([KEY, OTHER_KEY])
    for key in (KEY, OTHER_KEY):
        remaining_s = await redis.command("TTL", f"gw:changed:{key}")
        assert isinstance(remaining_s, int) and 0 < remaining_s <= 10


async def test_a_policy_that_is_dropped_leaves_the_next_request_to_its_address_s_bucket(
    redis: Redis, clock: Clock
) -> None:
    limiter = Limiter(redis, clock, address_requests_per_minute=2)
    await first_use(limiter, policy(key=limits(requests=1)), lease_id=NO_LEASE)
    await limiter.drop_policy(KEY)
    assert f"gw:changed:{KEY}" not in await everything_in(redis)
    for _ in range(2):
        await sight(limiter)
    with pytest.raises(AddressLimited):
        await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0)


async def test_a_key_that_is_made_again_is_no_longer_unknown(limiter: Limiter) -> None:
    await limiter.remember_unknown(KEY)
    assert await limiter.reserve(key=KEY, address=ADDRESS, lease_id=NO_LEASE, tokens=0) == KeyUnknown()
    await limiter.forget_policies([KEY])
    await sight(limiter)
