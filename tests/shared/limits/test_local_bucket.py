import pytest

from shared.limits.local_bucket import LocalBucket
from shared.limits.refusals import RequestsLimited
from tests.shared.limits.support import Clock, limits, policy


def test_a_refused_request_counts_for_neither_key_nor_account(clock: Clock) -> None:
    bucket = LocalBucket(clock)
    first, *others = (policy(account=limits(requests=3), key=limits(requests=1), key_id=id_) for id_ in range(1, 5))
    bucket.reserve(first)
    for _ in range(5):
        with pytest.raises(RequestsLimited, match="this API key"):
            bucket.reserve(first)
    bucket.reserve(others[0])
    bucket.reserve(others[1])
    with pytest.raises(RequestsLimited, match="this account"):
        bucket.reserve(others[2])


def test_no_minute_holds_more_than_the_limit(clock: Clock) -> None:
    bucket = LocalBucket(clock)
    passed: list[int] = []
    for _ in range(600):
        clock.now_ms += 317
        try:
            bucket.reserve(policy(key=limits(requests=7)))
        except RequestsLimited:
            continue
        passed.append(clock.now_ms)
    assert len(passed) >= 14
    for first_ms in passed:
        assert sum(0 <= at_ms - first_ms < 60_000 for at_ms in passed) <= 7


def test_an_unlimited_key_leaves_no_trace(clock: Clock) -> None:
    bucket = LocalBucket(clock)
    for _ in range(100):
        bucket.reserve(policy())
    assert not bucket._windows


def test_memory_is_bounded_and_the_longest_unused_key_is_forgotten_first(clock: Clock) -> None:
    bucket = LocalBucket(clock, max_windows=3)
    a, b, c, d = (policy(key=limits(requests=1), key_id=id_) for id_ in range(1, 5))
    for known in (a, b, c):
        bucket.reserve(known)
    with pytest.raises(RequestsLimited):
        bucket.reserve(a)
    bucket.reserve(d)
    assert len(bucket._windows) == 3
    bucket.reserve(b)
    with pytest.raises(RequestsLimited):
        bucket.reserve(d)
