import asyncio

import pytest

from shared.clients.redis import Redis
from shared.limits.refusals import (
    AddressLimited,
    ConcurrencyLimited,
    RateLimited,
    RequestExceedsTokenLimit,
    RequestsLimited,
    TokensLimited,
)
from shared.limits.store import Limiter
from shared.limits.types import KeyUnknown, KeyUnseen, Reservation
from tests.shared.limits.support import (
    ADDRESS,
    KEY,
    OTHER_KEY,
    Clock,
    everything_in,
    first_use,
    limits,
    policy,
    use,
)


async def test_a_key_never_seen_is_left_to_admission(limiter: Limiter) -> None:
    answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id="one", tokens=10)
    assert answer == KeyUnseen()


async def test_after_first_sight_one_call_admits_and_tells_the_state(limiter: Limiter) -> None:
    known = policy(account=limits(requests=100, tokens=900), key=limits(requests=10))
    await first_use(limiter, known, tokens=100)

    reservation = await use(limiter, "second", tokens=50)

    assert reservation.account_id == known.account_id
    requests, tokens = reservation.state.requests, reservation.state.tokens
    assert requests is not None and (requests.limit, requests.remaining) == (10, 8)  # the key is tighter
    assert tokens is not None and (tokens.limit, tokens.remaining) == (900, 750)  # the account alone has a limit
    assert 60_000 <= requests.reset_ms <= 65_000


async def test_each_request_of_a_known_key_is_one_call(
    limiter: Limiter, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await first_use(limiter, policy(key=limits(requests=10)))
    calls = 0
    run_script = redis.run_script

    async def counting(*positional: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        return await run_script(*positional, **named)  # type: ignore[arg-type]

    monkeypatch.setattr(redis, "run_script", counting)
    reservation = await use(limiter, "second")
    assert calls == 1
    await limiter.release(reservation, used_tokens=1)
    assert calls == 2


async def test_an_unlimited_key_has_no_state_and_is_never_refused(limiter: Limiter) -> None:
    await first_use(limiter, policy(), tokens=10**9)
    for number in range(20):
        reservation = await use(limiter, f"lease-{number}", tokens=10**9)
    assert reservation.state.requests is None
    assert reservation.state.tokens is None


async def test_a_key_that_does_not_exist_is_refused_for_a_minute_without_admission(
    limiter: Limiter, redis: Redis
) -> None:
    await limiter.remember_unknown(KEY)
    before = await everything_in(redis)
    assert await limiter.reserve(key=KEY, address=ADDRESS, lease_id="one", tokens=1) == KeyUnknown()
    assert await everything_in(redis) == before
    remaining_s = await redis.command("TTL", f"gw:unknown:{KEY}")
    assert isinstance(remaining_s, int) and 0 < remaining_s <= 60


async def test_one_address_may_bring_only_so_many_unseen_keys(redis: Redis, clock: Clock) -> None:
    limiter = Limiter(redis, clock, address_requests_per_minute=3)
    for number in range(3):
        answer = await limiter.reserve(key=f"{number:064x}", address=ADDRESS, lease_id="x", tokens=1)
        assert answer == KeyUnseen()
    before = await everything_in(redis)

    with pytest.raises(AddressLimited) as refusal:
        await limiter.reserve(key="f" * 64, address=ADDRESS, lease_id="x", tokens=1)

    assert await everything_in(redis) == before
    assert await limiter.reserve(key="f" * 64, address="192.0.2.8", lease_id="x", tokens=1) == KeyUnseen()
    clock.now_ms += int(refusal.value.headers["Retry-After"]) * 1000
    assert await limiter.reserve(key="f" * 64, address=ADDRESS, lease_id="x", tokens=1) == KeyUnseen()


async def test_a_known_key_is_not_held_to_its_address(redis: Redis, clock: Clock) -> None:
    limiter = Limiter(redis, clock, address_requests_per_minute=1)
    await first_use(limiter, policy(key=limits(requests=100)))
    for number in range(10):
        await use(limiter, f"lease-{number}")


async def test_the_accounts_limit_holds_over_all_its_keys(limiter: Limiter) -> None:
    known = policy(account=limits(requests=3), key=limits(requests=2))
    await first_use(limiter, known, key=KEY, lease_id="a")
    await first_use(limiter, known, key=OTHER_KEY, lease_id="b")
    await use(limiter, "c", key=KEY)
    with pytest.raises(RequestsLimited, match="this account is reached: 3 requests per minute"):
        await use(limiter, "d", key=OTHER_KEY)


async def test_a_keys_secrets_share_its_limits(limiter: Limiter, redis: Redis) -> None:
    known = policy(key=limits(requests=3, tokens=100, concurrency=2))
    old = await limiter.reserve_with_policy(known, key=KEY, lease_id="old", tokens=90)
    assert isinstance(old, Reservation)
    with pytest.raises(TokensLimited, match="this API key"):
        await limiter.reserve_with_policy(known, key=OTHER_KEY, lease_id="new", tokens=20)
    await limiter.release(old, used_tokens=10)
    for lease_id in ("a", "b"):
        await use(limiter, lease_id, key=OTHER_KEY, tokens=10)
    for key in (KEY, OTHER_KEY):
        with pytest.raises(RequestsLimited, match="this API key"):
            await use(limiter, "c", key=key)
    standings = await limiter.look(known, key=KEY)
    assert standings is not None
    assert (standings.key.requests.used, standings.key.tokens.used, standings.key.concurrency.used) == (3, 30, 2)


async def test_a_refusal_writes_nothing(limiter: Limiter, redis: Redis) -> None:
    await first_use(limiter, policy(key=limits(requests=5, tokens=100, concurrency=1)), tokens=50)
    before = await everything_in(redis)
    for lease_id, tokens, expected in (
        ("more tokens", 60, TokensLimited),
        ("too large", 101, RequestExceedsTokenLimit),
        ("at once", 1, ConcurrencyLimited),
    ):
        with pytest.raises(expected):
            await use(limiter, lease_id, tokens=tokens)
    assert await everything_in(redis) == before


async def test_first_sight_over_the_limit_remembers_the_policy_but_counts_nothing(
    limiter: Limiter, redis: Redis
) -> None:
    known = policy(key=limits(tokens=100))
    with pytest.raises(RequestExceedsTokenLimit):
        await limiter.reserve_with_policy(known, key=KEY, lease_id="one", tokens=101)
    assert await everything_in(redis) == {f"gw:policy:{KEY}": "1 0 0 0 0 100 0 1"}


async def test_a_request_larger_than_a_minute_is_told_not_to_come_back(limiter: Limiter) -> None:
    await first_use(limiter, policy(account=limits(tokens=1000)), tokens=900)
    with pytest.raises(RequestExceedsTokenLimit) as refusal:
        await use(limiter, "large", tokens=1001)
    assert not refusal.value.is_retryable
    assert "Retry-After" not in refusal.value.headers
    assert refusal.value.headers["x-ratelimit-remaining-tokens"] == "100"


async def test_release_turns_reserved_tokens_into_used_ones_and_frees_the_place(limiter: Limiter, clock: Clock) -> None:
    reservation = await first_use(limiter, policy(key=limits(requests=9, tokens=1000, concurrency=1)), tokens=800)
    clock.now_ms += 12_000  # the correction belongs into the bucket of the reservation, not into today's
    await limiter.release(reservation, used_tokens=300)

    second = await use(limiter, "second", tokens=700)

    assert second.state.tokens is not None and second.state.tokens.remaining == 0
    await limiter.release(second, used_tokens=0)
    clock.now_ms += 53_000  # the first bucket has left the window
    third = await use(limiter, "third", tokens=1000)
    assert third.state.tokens is not None and third.state.tokens.remaining == 0


async def test_what_was_used_beyond_the_reservation_counts_too(limiter: Limiter) -> None:
    reservation = await first_use(limiter, policy(key=limits(tokens=1000)), tokens=100)
    await limiter.release(reservation, used_tokens=950)
    with pytest.raises(TokensLimited):
        await use(limiter, "second", tokens=51)
    await use(limiter, "third", tokens=50)


async def test_a_repeated_release_changes_nothing(limiter: Limiter, redis: Redis) -> None:
    known = policy(account=limits(tokens=5000, concurrency=5), key=limits(tokens=1000, concurrency=3))
    reservation = await first_use(limiter, known, tokens=100)
    await use(limiter, "still open", tokens=10)
    await limiter.release(reservation, used_tokens=70)
    before = await everything_in(redis)
    for _ in range(3):
        await limiter.release(reservation, used_tokens=70)
    assert await everything_in(redis) == before


async def test_a_request_refused_later_gives_its_tokens_and_its_place_back(limiter: Limiter) -> None:
    reservation = await first_use(limiter, policy(key=limits(requests=10, tokens=100, concurrency=1)), tokens=100)
    await limiter.release(reservation, used_tokens=0)
    again = await use(limiter, "again", tokens=100)
    assert again.state.requests is not None and again.state.requests.remaining == 8  # it was made, so it counts


async def test_the_lease_of_a_dead_process_frees_itself_after_a_minute(limiter: Limiter, clock: Clock) -> None:
    await first_use(limiter, policy(account=limits(concurrency=1)))
    clock.now_ms += 59_999
    with pytest.raises(ConcurrencyLimited):
        await use(limiter, "second")
    clock.now_ms += 1
    await use(limiter, "second")


async def test_lapsed_leases_do_not_pile_up(limiter: Limiter, redis: Redis, clock: Clock) -> None:
    await first_use(limiter, policy())
    for number in range(10):
        clock.now_ms += 60_000
        await use(limiter, f"lease-{number}")
    for name in ("gw:leases:1", "gw:leases:1:1"):
        assert await redis.command("ZCARD", name) == 1


async def test_a_renewed_lease_lives_on(limiter: Limiter, clock: Clock) -> None:
    reservation = await first_use(limiter, policy(key=limits(concurrency=1)))
    for _ in range(10):
        clock.now_ms += 30_000
        await limiter.renew(reservation)
    clock.now_ms += 59_999
    with pytest.raises(ConcurrencyLimited):
        await use(limiter, "second")
    await limiter.release(reservation, used_tokens=0)
    await limiter.renew(reservation)  # late: what was released stays released
    await use(limiter, "second")


async def test_an_instance_whose_clock_is_behind_does_not_turn_time_back(limiter: Limiter, clock: Clock) -> None:
    await first_use(limiter, policy(key=limits(requests=2)))
    clock.now_ms -= 300_000
    await use(limiter, "second")
    with pytest.raises(RequestsLimited):
        await use(limiter, "third")
    clock.now_ms += 300_000
    with pytest.raises(RequestsLimited):
        await use(limiter, "third")


async def test_a_change_of_limits_holds_after_the_policy_is_forgotten_and_keeps_the_counts(limiter: Limiter) -> None:
    await first_use(limiter, policy(key=limits(requests=10)))
    await limiter.remember_unknown(OTHER_KEY)

    await limiter.forget_policies([KEY, OTHER_KEY])

    for key in (KEY, OTHER_KEY):
        assert isinstance(await limiter.reserve(key=key, address=ADDRESS, lease_id="x", tokens=0), KeyUnseen)
    with pytest.raises(RequestsLimited, match="1 requests per minute"):
        await limiter.reserve_with_policy(policy(key=limits(requests=1)), key=KEY, lease_id="second", tokens=0)


async def test_everything_kept_expires_by_itself(limiter: Limiter, redis: Redis) -> None:
    reservation = await first_use(limiter, policy(key=limits(requests=10)), tokens=5)
    await limiter.reserve(key=OTHER_KEY, address=ADDRESS, lease_id="x", tokens=0)
    await limiter.renew(reservation)
    await limiter.remember_unknown("c" * 64)
    await limiter.release(reservation, used_tokens=3)
    for name in await everything_in(redis):
        remaining_s = await redis.command("TTL", name)
        assert isinstance(remaining_s, int) and 0 < remaining_s <= 3600, name


async def test_a_policy_that_cannot_be_read_is_asked_for_again(limiter: Limiter, redis: Redis) -> None:
    await redis.command("SET", f"gw:policy:{KEY}", "of another version")
    assert await limiter.reserve(key=KEY, address=ADDRESS, lease_id="x", tokens=0) == KeyUnseen()


async def test_concurrent_first_sights_of_one_key_share_its_limit(limiter: Limiter) -> None:
    known = policy(key=limits(requests=10))

    async def first_request(number: int) -> bool:
        answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=f"lease-{number}", tokens=1)
        if isinstance(answer, KeyUnseen):
            answer = await limiter.reserve_with_policy(known, key=KEY, lease_id=f"lease-{number}", tokens=1)
        return isinstance(answer, Reservation)

    answers = await asyncio.gather(*(first_request(number) for number in range(30)), return_exceptions=True)

    assert answers.count(True) == 10
    assert sum(isinstance(answer, RequestsLimited) for answer in answers) == 20


async def test_two_thousand_requests_in_a_row_pass_with_redis_emptied_in_the_middle(
    limiter: Limiter, redis: Redis
) -> None:
    known = policy(account=limits(requests=10_000, concurrency=2), key=limits(requests=10_000, concurrency=2))
    unseen = 0
    for number in range(2000):
        if number == 1000:
            await redis.command("FLUSHALL")
        answer = await limiter.reserve(key=KEY, address=ADDRESS, lease_id=f"lease-{number}", tokens=100)
        if isinstance(answer, KeyUnseen):
            unseen += 1
            answer = await limiter.reserve_with_policy(known, key=KEY, lease_id=f"lease-{number}", tokens=100)
        assert isinstance(answer, Reservation)
        await limiter.release(answer, used_tokens=40)
    assert unseen == 2


async def test_a_release_after_redis_was_emptied_changes_nothing(limiter: Limiter, redis: Redis) -> None:
    reservation = await first_use(limiter, policy(key=limits(tokens=100)), tokens=100)
    await redis.command("FLUSHALL")
    await limiter.release(reservation, used_tokens=5)
    assert await everything_in(redis) == {}


async def test_the_scripts_are_sent_again_when_redis_has_forgotten_them(limiter: Limiter, redis: Redis) -> None:
    reservation = await first_use(limiter, policy(key=limits(concurrency=1)))
    await redis.command("SCRIPT", "FLUSH")
    await limiter.release(reservation, used_tokens=0)
    await redis.command("SCRIPT", "FLUSH")
    await use(limiter, "second")


async def test_a_negative_number_of_tokens_is_a_bug_of_the_caller(limiter: Limiter) -> None:
    with pytest.raises(ValueError, match="negative"):
        await limiter.reserve(key=KEY, address=ADDRESS, lease_id="x", tokens=-1)


async def test_every_refusal_carries_the_rate_limit_headers(limiter: Limiter) -> None:
    await first_use(limiter, policy(key=limits(requests=1)))
    with pytest.raises(RateLimited) as refusal:
        await use(limiter, "second")
    headers = refusal.value.headers
    assert headers["x-ratelimit-limit-requests"] == "1"
    assert headers["x-ratelimit-remaining-requests"] == "0"
    assert 60 <= int(headers["Retry-After"]) <= 65
