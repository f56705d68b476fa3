import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.money import Nanos
from shared.providers.priced import CostPlace, Priced, format_cost


@given(st.integers(0, 10**18))
def test_cost_is_printed_exactly_and_without_exponent(nanos: int) -> None:
    text = format_cost(Nanos(nanos)).decode()
    assert Decimal(text) * 10**9 == nanos
    assert "e" not in text.lower()
    assert json.loads(text) >= 0


@pytest.mark.parametrize(
    ("before", "without"),
    [(b'{"a":1,"cost":', b'{"a":1}'), (b'{"cost":', b"{}"), (b'{"cost":{"cost":', b'{"cost":{}}')],
)
def test_an_unknown_amount_takes_its_field_and_the_comma_along(before: bytes, without: bytes) -> None:
    place = CostPlace()
    closing = b"}" * before.count(b"{")
    priced = place.split(before + bytes(place.value) + closing)
    assert priced.with_cost(None) == without
    assert priced.with_cost(Nanos(20)) == before + b"0.00000002" + closing


def test_bytes_that_name_no_amount_stay_as_they_are() -> None:
    assert Priced(b'{"a":1,"cost":').with_cost(Nanos(5)) == b'{"a":1,"cost":'
    assert Priced(b"a").followed_by(b"b").with_cost(None) == b"ab"
    assert Priced(b"a", b"b").followed_by(b"c").with_cost(Nanos(0)) == b"a0bc"


def test_no_two_places_are_alike() -> None:
    assert bytes(CostPlace().value) != bytes(CostPlace().value)
