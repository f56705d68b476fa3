"""Random traffic on a clock of our own against a model that keeps every request and adds up from scratch."""

import random
from collections import Counter
from dataclasses import dataclass, field

import pytest

from shared.clients.redis import Redis
from shared.core.money import ceil_div
from shared.core.verdicts import MinuteLimits
from shared.limits.refusals import (
    ConcurrencyLimited,
    RateLimited,
    RequestExceedsTokenLimit,
    RequestsLimited,
    TokensLimited,
)
from shared.limits.store import Limiter
from shared.limits.types import Reservation
from tests.shared.limits.support import KEY, OTHER_KEY, Clock, everything_in, first_use, limits, policy, use

ACCOUNT = limits(requests=20, tokens=5000, concurrency=6)
KEYS = {KEY: limits(requests=12, tokens=3000, concurrency=4), OTHER_KEY: limits(tokens=4000, concurrency=5)}
STEPS = 600


@dataclass(slots=True)
class Counted:
    key: str
    at_ms: int
    tokens: int
    lease_ends_ms: int
    reservation: Reservation


@dataclass(slots=True)
class Model:
    log: list[Counted] = field(default_factory=list)

    def effective(self, now_ms: int) -> int:
        return max([now_ms, *(entry.at_ms // 5000 * 5000 for entry in self.log)])

    def expected(self, key: str, tokens: int, now_ms: int) -> tuple[type[RateLimited], int] | None:
        """Return the refusal to come and its wait in ms (-1 never), or None where the request fits."""
        excesses: list[tuple[type[RateLimited], int]] = []
        for limit, mine in ((ACCOUNT, self.log), (KEYS[key], [entry for entry in self.log if entry.key == key])):
            excesses += self._excesses(limit, mine, tokens, now_ms)
        never = [excess for excess in excesses if excess[1] < 0]
        return (never or [max(excesses, key=lambda excess: excess[1])])[0] if excesses else None

    def _excesses(
        self, limit: MinuteLimits, mine: list[Counted], tokens: int, now_ms: int
    ) -> list[tuple[type[RateLimited], int]]:
        excesses: list[tuple[type[RateLimited], int]] = []
        requests = [(entry.at_ms, 1) for entry in mine]
        reserved = [(entry.at_ms, entry.tokens) for entry in mine]
        if limit.requests_per_minute and not fits(requests, limit.requests_per_minute, 1, now_ms):
            excesses.append((RequestsLimited, wait_ms(requests, limit.requests_per_minute, 1, now_ms)))
        if limit.tokens_per_minute and tokens > limit.tokens_per_minute:
            excesses.append((RequestExceedsTokenLimit, -1))
        elif limit.tokens_per_minute and not fits(reserved, limit.tokens_per_minute, tokens, now_ms):
            excesses.append((TokensLimited, wait_ms(reserved, limit.tokens_per_minute, tokens, now_ms)))
        if sum(entry.lease_ends_ms > now_ms for entry in mine) + 1 > limit.concurrency:
            excesses.append((ConcurrencyLimited, 1000))
        return excesses


def fits(entries: list[tuple[int, int]], limit: int, amount: int, now_ms: int) -> bool:
    return amount + sum(count for at_ms, count in entries if at_ms // 5000 > now_ms // 5000 - 13) <= limit


def wait_ms(entries: list[tuple[int, int]], limit: int, amount: int, now_ms: int) -> int:
    at_ms = now_ms
    while not fits(entries, limit, amount, at_ms):
        at_ms = (at_ms // 5000 + 1) * 5000
    return at_ms - now_ms


def worst_minute(times_ms: list[int]) -> int:
    return max((sum(0 <= time_ms - first_ms < 60_000 for time_ms in times_ms) for first_ms in times_ms), default=0)


@pytest.mark.parametrize("seed", [0, 1])
async def test_random_traffic_is_let_through_and_refused_exactly_as_the_model_says(
    redis: Redis, clock: Clock, seed: int
) -> None:
    chance = random.Random(seed)
    limiter = Limiter(redis, clock)
    model = Model()
    seen: Counter[str] = Counter()
    for key, limit in KEYS.items():
        reservation = await first_use(limiter, policy(account=ACCOUNT, key=limit), key=key, lease_id=key)
        model.log.append(Counted(key, clock.now_ms, 0, clock.now_ms + 60_000, reservation))

    for step in range(STEPS):
        clock.now_ms += chance.choice([0, 1, 50, 400, 1500, 4000, chance.choice([100, 20_000])])
        still_open = [entry for entry in model.log if entry.lease_ends_ms > clock.now_ms]
        if still_open and chance.random() < 0.45:
            await _release_one(limiter, chance, chance.choice(still_open))
            continue
        true_ms = clock.now_ms
        clock.now_ms -= chance.choice([0, 0, 30, 9000])  # another instance, whose clock may be behind
        verdict = await _request_one(limiter, redis, model, chance, f"lease-{step}")
        seen[verdict] += 1
        clock.now_ms = true_ms

    assert {"Reservation", "RequestsLimited", "TokensLimited", "ConcurrencyLimited"} <= set(seen)
    assert worst_minute([entry.at_ms for entry in model.log]) <= ACCOUNT.requests_per_minute
    assert worst_minute([entry.at_ms for entry in model.log if entry.key == KEY]) <= KEYS[KEY].requests_per_minute


async def _release_one(limiter: Limiter, chance: random.Random, entry: Counted) -> None:
    used = chance.choice([0, entry.tokens // 2, entry.tokens, entry.tokens * 2])
    for _ in range(chance.choice([1, 1, 2])):
        await limiter.release(entry.reservation, used_tokens=used)
    entry.tokens, entry.lease_ends_ms = used, 0


async def _request_one(limiter: Limiter, redis: Redis, model: Model, chance: random.Random, lease_id: str) -> str:
    key = chance.choice(list(KEYS))
    tokens = chance.choice([10, 100, 700, 1500, chance.choice([50, 6000])])
    now_ms = model.effective(limiter._clock_ms())
    expected = model.expected(key, tokens, now_ms)
    before = await everything_in(redis)
    try:
        reservation = await use(limiter, lease_id, key=key, tokens=tokens)
    except RateLimited as refusal:
        assert expected is not None, f"{refusal.message} but the model lets it through"
        assert await everything_in(redis) == before
        assert type(refusal) is expected[0]
        retry_after = refusal.headers.get("Retry-After")
        assert retry_after == (None if expected[1] < 0 else str(max(1, ceil_div(expected[1], 1000))))
        return type(refusal).__name__
    assert expected is None, f"let through, but the model says {expected}"
    model.log.append(Counted(key, now_ms, tokens, now_ms + 60_000, reservation))
    return "Reservation"


@pytest.mark.parametrize("seed", range(3))
async def test_who_waits_as_told_is_let_through(redis: Redis, clock: Clock, seed: int) -> None:
    chance = random.Random(seed)
    limiter = Limiter(redis, clock)
    known = policy(account=limits(requests=15, tokens=2500), key=limits(requests=9, tokens=2000))
    await first_use(limiter, known)
    refusals = 0
    for step in range(150):
        clock.now_ms += chance.choice([0, 10, 700, 3000])
        tokens = chance.choice([10, 400, 900])
        try:
            await use(limiter, f"lease-{step}", tokens=tokens)
        except RateLimited as refusal:
            refusals += 1
            clock.now_ms += int(refusal.headers["Retry-After"]) * 1000
            await use(limiter, f"lease-{step}-again", tokens=tokens)
    assert refusals > 10
