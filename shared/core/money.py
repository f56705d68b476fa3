"""Money is a whole number of nano-dollars; this is the only place where it is converted."""

from decimal import MAX_EMAX, MAX_PREC, MIN_EMIN, ROUND_CEILING, Context, Decimal
from typing import NewType

Nanos = NewType("Nanos", int)

NANOS_PER_DOLLAR = 1_000_000_000
NANOS_PER_CENT = 10_000_000
# The books count in 64 bits, which hold some nine billion dollars.
DOLLARS_LIMIT = 9_000_000_000
# A price is counted in nano-dollars for a million units, of which the store takes no more than this.
UNITS_PER_RATE = 1_000_000
RATE_LIMIT = 10**18

# Decimals are rounded to 28 digits unless they are told not to be.
_EXACT = Context(prec=MAX_PREC, Emax=MAX_EMAX, Emin=MIN_EMIN)


def ceil_div(dividend: int, divisor: int) -> int:
    """Divide and round up, the one division that money knows.

    raises  ZeroDivisionError
    """
    return -(-dividend // divisor)


def nanos_from_dollars(dollars: Decimal) -> Nanos:
    """Convert an amount that someone else wrote in dollars, rounding up to the next nano-dollar.

    raises  ValueError when the amount is not a finite number, or one that the books cannot hold
    """
    if not (dollars.is_finite() and -DOLLARS_LIMIT < dollars < DOLLARS_LIMIT):
        raise ValueError(f"not an amount of money: {dollars}")
    nanos = _EXACT.multiply(dollars, Decimal(NANOS_PER_DOLLAR))
    return Nanos(int(nanos.to_integral_value(rounding=ROUND_CEILING)))


def rate_from_dollars(dollars: Decimal, *, units: int) -> int:
    """Convert a published price, which is for so many units (1, or 1,000,000), rounding up.

    units   the answer: nano-dollars per million units
    raises  ValueError when it is not a price, or one that the store cannot hold
    """
    nanos_for_a_dollar = NANOS_PER_DOLLAR * (UNITS_PER_RATE // units)
    if not (dollars.is_finite() and 0 <= dollars <= RATE_LIMIT // nanos_for_a_dollar):
        raise ValueError(f"not a price: {dollars}")
    rate = _EXACT.multiply(dollars, Decimal(nanos_for_a_dollar))
    return int(rate.to_integral_value(rounding=ROUND_CEILING))


def nanos_from_cents(cents: int) -> Nanos:
    """Convert an amount that was paid, which is whole cents."""
    return Nanos(cents * NANOS_PER_CENT)


def format_cents(cents: int) -> str:
    """Print an amount of whole cents as the API answers with it: `"25.000000000"`."""
    return format_dollars(nanos_from_cents(cents))


def format_dollars(amount: Nanos) -> str:
    """Print an amount as the exact decimal string that the API answers with: `"9.999740500"`."""
    sign = "-" if amount < 0 else ""
    dollars, nanos = divmod(abs(amount), NANOS_PER_DOLLAR)
    return f"{sign}{dollars}.{nanos:09d}"
