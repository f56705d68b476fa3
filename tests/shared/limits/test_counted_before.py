"""Requests that something was looked up for: counted then, they need room for their tokens and their lease alone."""

import pytest

from shared.clients.redis import Redis
from shared.core.verdicts import LimitsPolicy
from shared.limits.refusals import ConcurrencyLimited, RequestsLimited, TokensLimited
from shared.limits.store import Limiter
from shared.limits.types import NO_LEASE, KeyUnseen, Reservation, ReserveAnswer
from tests.shared.limits.support import ADDRESS, KEY, first_use, limits, policy, use


async def go_on(limiter: Limiter, lease_id: str, *, tokens: int = 0) -> ReserveAnswer:
    return await limiter.reserve(key=KEY, address=ADDRESS, lease_id=lease_id, tokens=tokens, is_counted=True)


@pytest.mark.parametrize(
    "known", [policy(account=limits(requests=2)), policy(key=limits(requests=2))], ids=["account", "key"]
)
async def test_the_last_request_of_a_minute_goes_on_and_is_not_counted_again(
    limiter: Limiter, known: LimitsPolicy
) -> None:
    await first_use(limiter, known, lease_id=NO_LEASE)
    for number in range(3):
        answer = await go_on(limiter, f"answer {number}")
        assert isinstance(answer, Reservation)
        assert answer.state.requests is not None
        assert answer.state.requests.remaining == 1
    await use(limiter, NO_LEASE)
    assert isinstance(await go_on(limiter, "the last"), Reservation)
    with pytest.raises(RequestsLimited):
        await use(limiter, NO_LEASE)


async def test_it_needs_room_for_its_tokens(limiter: Limiter) -> None:
    await first_use(limiter, policy(account=limits(tokens=100)), lease_id=NO_LEASE)
    await go_on(limiter, "large", tokens=100)
    with pytest.raises(TokensLimited):
        await go_on(limiter, "larger", tokens=1)


async def test_it_needs_room_among_those_under_way(limiter: Limiter) -> None:
    await first_use(limiter, policy(key=limits(concurrency=1)), lease_id=NO_LEASE)
    await go_on(limiter, "one")
    with pytest.raises(ConcurrencyLimited):
        await go_on(limiter, "another")


async def test_its_key_may_be_forgotten_in_between(limiter: Limiter, redis: Redis) -> None:
    await first_use(limiter, policy(key=limits(requests=1)), lease_id=NO_LEASE)
    await redis.command("FLUSHALL")
    assert await go_on(limiter, "answer") == KeyUnseen()
