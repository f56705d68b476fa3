"""What paid lines of a subscription must give, worked out naively: exact fractions, one piece of time after another."""

import calendar
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction


@dataclass(frozen=True, slots=True)
class PaidTime:
    """A plan that is paid for from one second to another, in months counted from an anchor."""

    line_id: str
    monthly_nanos: int
    starts_at: int
    ends_at: int
    anchor: int

    def density_at(self, second: int) -> Fraction:
        """Return what the plan gives in this second."""
        if not self.starts_at <= second < self.ends_at:
            return Fraction(0)
        begun, ended = month_around(self.anchor, second)
        return Fraction(self.monthly_nanos, ended - begun)


def add_months(anchor: int, months: int) -> int:
    """Return the anchor's day and time so many months on, or the last day of a shorter month. UTC."""
    begun = datetime.fromtimestamp(anchor, UTC)
    year, month = begun.year + (begun.month - 1 + months) // 12, (begun.month - 1 + months) % 12 + 1
    day = min(begun.day, calendar.monthrange(year, month)[1])
    return int(begun.replace(year=year, month=month, day=day).timestamp())


def month_around(anchor: int, second: int) -> tuple[int, int]:
    """Return the month, counted from the anchor, that a second is in."""
    months = (second - anchor) // (32 * 86_400)
    while add_months(anchor, months + 1) <= second:
        months += 1
    return add_months(anchor, months), add_months(anchor, months + 1)


def months_of(paid: PaidTime) -> list[tuple[int, int]]:
    """Return a line's months, the first and the last as far as they are paid for."""
    found, second = [], paid.starts_at
    while second < paid.ends_at:
        _, ended = month_around(paid.anchor, second)
        found.append((second, min(ended, paid.ends_at)))
        second = ended
    return found


def allowance_of(lines: Iterable[PaidTime]) -> int:
    """Return what all these lines give together: in each second the dearest of them, once."""
    paid = list(lines)
    bounds = sorted({bound for line in paid for month in months_of(line) for bound in month})
    total = Fraction(0)
    for begun, ended in itertools.pairwise(bounds):
        total += (ended - begun) * max(line.density_at(begun) for line in paid)
    return int(total)
