from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.money import NANOS_PER_DOLLAR, Nanos, ceil_div, format_dollars, nanos_from_dollars

amounts = st.integers(-(2**63), 2**63 - 1).map(Nanos)
dollars = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e9"), max_value=Decimal("1e9"))
# More digits than Python's decimals compute with unless they are told to.
long_dollars = st.builds(
    lambda whole, digits: Decimal(f"{whole}.{digits:040d}"), st.integers(0, 10**9), st.integers(0, 10**40 - 1)
)


@given(dividend=st.integers(), divisor=st.integers(1))
def test_ceil_div_rounds_up(dividend: int, divisor: int) -> None:
    quotient = ceil_div(dividend, divisor)
    assert (quotient - 1) * divisor < dividend <= quotient * divisor


def test_ceil_div_by_zero_is_an_error() -> None:
    with pytest.raises(ZeroDivisionError):
        ceil_div(1, 0)


@given(amount=dollars | long_dollars)
def test_dollars_become_the_next_whole_nano_dollar(amount: Decimal) -> None:
    nanos = nanos_from_dollars(amount)
    exact = Fraction(amount) * NANOS_PER_DOLLAR
    assert nanos - 1 < exact <= nanos


@pytest.mark.parametrize(
    ("text", "nanos"),
    [
        ("0.0039", 3_900_000),
        ("1e-9", 1),
        ("1e-10", 1),
        ("1E-999999", 1),
        ("0", 0),
        ("-0.0000000015", -1),
        ("0.1000000000000000000000000000000000001", 100_000_001),
        ("123456789.123456789", 123_456_789_123_456_789),
    ],
)
def test_an_amount_written_by_someone_else_is_read_exactly(text: str, nanos: int) -> None:
    assert nanos_from_dollars(Decimal(text)) == nanos


@pytest.mark.parametrize("text", ["NaN", "sNaN", "Infinity", "-Infinity"])
def test_what_is_no_amount_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of money"):
        nanos_from_dollars(Decimal(text))


@pytest.mark.parametrize("text", ["1e10", "-1e10", "1e999999"])
def test_an_amount_that_the_books_cannot_hold_is_refused_before_it_is_computed(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount of money"):
        nanos_from_dollars(Decimal(text))


@given(amount=amounts)
def test_a_printed_amount_is_exact_with_nine_places(amount: Nanos) -> None:
    text = format_dollars(amount)
    assert Fraction(text) * NANOS_PER_DOLLAR == amount
    assert len(text.partition(".")[2]) == 9


@pytest.mark.parametrize(
    ("nanos", "text"),
    [
        (9_999_740_500, "9.999740500"),
        (0, "0.000000000"),
        (1, "0.000000001"),
        (-1, "-0.000000001"),
        (-1_500_000_000, "-1.500000000"),
        (10**9, "1.000000000"),
    ],
)
def test_an_amount_is_printed_as_the_contract_shows(nanos: int, text: str) -> None:
    assert format_dollars(Nanos(nanos)) == text
