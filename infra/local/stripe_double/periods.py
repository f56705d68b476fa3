"""Billing periods: months and years counted from the anchor, so that the 31st comes back after February. UTC."""

import calendar
from datetime import UTC, datetime

DAY_S = 86_400
MONTHS_OF = {"month": 1, "year": 12}
DAYS_OF = {"day": 1, "week": 7}


def next_boundary(anchor: int, after: int, interval: str, count: int) -> int:
    """Return the first boundary later than a moment.

    units   seconds since 1970
    """
    if interval in DAYS_OF:
        length_s = DAYS_OF[interval] * count * DAY_S
        return anchor + ((after - anchor) // length_s + 1) * length_s
    step = MONTHS_OF[interval] * count
    begun, ended = datetime.fromtimestamp(anchor, UTC), datetime.fromtimestamp(after, UTC)
    months = (ended.year - begun.year) * 12 + ended.month - begun.month
    steps = max(0, months // step - 1)
    while add_months(anchor, steps * step) <= after:
        steps += 1
    return add_months(anchor, steps * step)


def add_months(anchor: int, months: int) -> int:
    """Return the same day so many months later, or that month's last day."""
    begun = datetime.fromtimestamp(anchor, UTC)
    index = begun.year * 12 + begun.month - 1 + months
    year, month = index // 12, index % 12 + 1
    day = min(begun.day, calendar.monthrange(year, month)[1])
    return int(begun.replace(year=year, month=month, day=day).timestamp())


def prorate(amount: int, remaining_s: int, period_s: int) -> int:
    """Return the part of an amount that the rest of its period is worth, halves rounded away from zero."""
    share = (2 * abs(amount) * remaining_s + period_s) // (2 * period_s)
    return share if amount >= 0 else -share
