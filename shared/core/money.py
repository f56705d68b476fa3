"""Money is a whole number of nano-dollars; this is the only place where it is converted."""

from decimal import ROUND_CEILING, Decimal
from typing import NewType

Nanos = NewType("Nanos", int)

NANOS_PER_DOLLAR = 1_000_000_000


def ceil_div(dividend: int, divisor: int) -> int:
    """Divide and round up, the one division that money knows.

    raises  ZeroDivisionError
    """
    return -(-dividend // divisor)


def nanos_from_dollars(dollars: Decimal) -> Nanos:
    """Convert an amount that someone else wrote in dollars, rounding up to the next nano-dollar.

    raises  ValueError when the amount is not a finite number
    """
    if not dollars.is_finite():
        raise ValueError(f"not an amount of money: {dollars}")
    return Nanos(int((dollars * NANOS_PER_DOLLAR).to_integral_value(rounding=ROUND_CEILING)))


def format_dollars(amount: Nanos) -> str:
    """Print an amount as the exact decimal string that the API answers with: `"9.999740500"`."""
    sign = "-" if amount < 0 else ""
    dollars, nanos = divmod(abs(amount), NANOS_PER_DOLLAR)
    return f"{sign}{dollars}.{nanos:09d}"
