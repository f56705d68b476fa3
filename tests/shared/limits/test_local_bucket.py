import pytest

from shared.limits.local_bucket import LocalBucket
from shared.limits.refusals import RequestsLimited
from tests.shared.limits.support import KEY, OTHER_KEY, Clock, limits, policy


def test_a_refused_request_counts_for_neither_key_nor_account(clock: Clock) -> None:
    bucket = LocalBucket(clock)
    known = policy(account=limits(requests=3), key=limits(requests=1))
    bucket.reserve(known, key=KEY)
    for _ in range(5):
        with pytest.raises(RequestsLimited, match="this API key"):
            bucket.reserve(known, key=KEY)
    bucket.reserve(known, key=OTHER_KEY)
    bucket.reserve(known, key="c3" * 32)
    with pytest.raises(RequestsLimited, match="this account"):
        bucket.reserve(known, key="d4" * 32)


def test_no_minute_holds_more_than_the_limit(clock: Clock) -> None:
    bucket = LocalBucket(clock)
    passed: list[int] = []
    for _ in range(600):
        clock.now_ms += 317
        try:
            bucket.reserve(policy(key=limits(requests=7)), key=KEY)
        except RequestsLimited:
            continue
        passed.append(clock.now_ms)
    assert len(passed) >= 14
    for first_ms in passed:
        assert sum(0 <= at_ms - first_ms < 60_000 for at_ms in passed) <= 7


def test_an_unlimited_key_leaves_no_trace(clock: Clock) -> None:
    bucket = LocalBucket(clock)
    for _ in range(100):
        bucket.reserve(policy(), key=KEY)
    assert not bucket._windows


def test_memory_is_bounded_and_the_longest_unused_key_is_forgotten_first(clock: Clock) -> None:
    bucket = LocalBucket(clock, max_windows=3)
    known = policy(key=limits(requests=1))
    for key in ("a", "b", "c"):
        bucket.reserve(known, key=key)
    with pytest.raises(RequestsLimited):
        bucket.reserve(known, key="a")
    bucket.reserve(known, key="d")
    assert len(bucket._windows) == 3
    bucket.reserve(known, key="b")
    with pytest.raises(RequestsLimited):
        bucket.reserve(known, key="d")
