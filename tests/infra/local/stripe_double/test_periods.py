"""Billing periods keep their anchor's day over short months and leap days."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.stripe_double.periods import add_months, next_boundary, prorate
from tests.infra.local.stripe_double.conftest import at

MOMENTS = st.integers(at("2020-01-01"), at("2040-01-01"))


@pytest.mark.parametrize(
    ("anchor", "months", "expected"),
    [
        ("2026-01-31 10:00", 1, "2026-02-28 10:00"),
        ("2026-01-31 10:00", 2, "2026-03-31 10:00"),
        ("2028-01-31 10:00", 1, "2028-02-29 10:00"),
        ("2028-02-29 23:59", 12, "2029-02-28 23:59"),
        ("2028-02-29 23:59", 48, "2032-02-29 23:59"),
        ("2026-12-30 00:00", 2, "2027-02-28 00:00"),
    ],
)
def test_the_day_is_the_anchors_or_the_months_last(anchor: str, months: int, expected: str) -> None:
    assert add_months(at(anchor), months) == at(expected)


@given(anchor=MOMENTS, after=MOMENTS, interval=st.sampled_from(["day", "week", "month", "year"]),
       count=st.integers(1, 12))  # fmt: skip
def test_the_next_boundary_is_the_first_one_later(anchor: int, after: int, interval: str, count: int) -> None:
    after = max(anchor, after)
    boundary = next_boundary(anchor, after, interval, count)

    assert boundary > after
    longest_s = {"day": 1, "week": 7, "month": 31, "year": 366}[interval] * count * 86_400
    assert boundary - after <= longest_s
    if interval in {"month", "year"}:
        begun, ended = datetime.fromtimestamp(anchor, UTC), datetime.fromtimestamp(boundary, UTC)
        assert ended.time() == begun.time()
        months = (ended.year - begun.year) * 12 + ended.month - begun.month
        assert months % (count * (12 if interval == "year" else 1)) == 0
        assert ended.day <= begun.day


@given(amount=st.integers(-(10**8), 10**8), period_s=st.integers(1, 10**8), share=st.integers(0, 10**8))
def test_a_proration_is_never_more_than_the_whole_and_mirrors_its_credit(
    amount: int, period_s: int, share: int
) -> None:
    remaining_s = min(share, period_s)
    part = prorate(amount, remaining_s, period_s)

    assert abs(part) <= abs(amount)
    assert part == -prorate(-amount, remaining_s, period_s)
    assert abs(part * period_s - amount * remaining_s) * 2 <= period_s


def test_halves_are_rounded_away_from_zero() -> None:
    assert (prorate(5, 1, 2), prorate(-5, 1, 2), prorate(5, 0, 2), prorate(5, 2, 2)) == (3, -3, 0, 5)
