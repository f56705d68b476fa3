"""The one multiplication of money, against Python's whole numbers."""

from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.core.money import ceil_div
from tests.sql.books import MODEL, PROVIDER, Books
from tests.sql.customers import READ_PRICE, make_model

UNITS = ("input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "images", "requests")
PER_MILLION = 1_000_000
MAX_QUANTITY = 2_000_000_000
MAX_RATE = 10**18
MAX_NANOS = 2**63 - 1

AMOUNT = "select gateway.amount(row(%s, %s, %s, %s, %s, %s), row(%s, %s, %s, %s, %s, %s))"
# Every published price in dollars per million is whole in nano-dollars per million.
rates = st.lists(st.integers(0, 10**13), min_size=len(UNITS), max_size=len(UNITS))
quantities = st.lists(
    st.one_of(st.integers(0, 10), st.integers(0, 10_000_000)), min_size=len(UNITS), max_size=len(UNITS)
)
quickly = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def _amount(books: Books, rates: list[int], quantities: list[int]) -> Any:
    return books.value(AMOUNT, *rates, *quantities)


@quickly
@given(rates=rates, quantities=quantities)
def test_an_amount_is_the_exact_sum_rounded_up_once(books: Books, rates: list[int], quantities: list[int]) -> None:
    exact = sum(rate * quantity for rate, quantity in zip(rates, quantities, strict=True))
    assert _amount(books, rates, quantities) == ceil_div(exact, PER_MILLION)


@quickly
@given(
    rates=st.lists(st.integers(0, MAX_RATE), min_size=6, max_size=6),
    quantities=st.lists(st.integers(0, MAX_QUANTITY), min_size=6, max_size=6),
)
def test_an_amount_is_exact_or_an_error_however_large(books: Books, rates: list[int], quantities: list[int]) -> None:
    exact = ceil_div(sum(rate * quantity for rate, quantity in zip(rates, quantities, strict=True)), PER_MILLION)
    if exact <= MAX_NANOS:
        assert _amount(books, rates, quantities) == exact
    else:
        with pytest.raises(psycopg.errors.NumericValueOutOfRange):
            _amount(books, rates, quantities)


@quickly
@given(cost=st.integers(0, MAX_RATE // 101), markup_ppm=st.integers(0, 100_000_000))
def test_a_markup_is_exact_and_rounded_up(books: Books, cost: int, markup_ppm: int) -> None:
    marked_up = books.value("select gateway.mark_up(%s, %s)", cost, markup_ppm)
    assert marked_up == ceil_div(cost * (PER_MILLION + markup_ppm), PER_MILLION)


def test_128_answers_of_a_million_tokens_at_600_dollars_per_million_cost_76800_dollars(books: Books) -> None:
    rates = {"input_tokens": 0, "output_tokens": 600 * 10**9}
    (price_id,) = make_model(books, "price/dear", {PROVIDER: rates}).values()
    priced = books.call("price", price_id=price_id, quantities={"output_tokens": 128 * 10**6})
    assert priced == {"list_cost_nanos": 76_800 * 10**9, "provider_cost_nanos": 76_800 * 10**9}


def test_a_part_of_a_nano_dollar_is_rounded_up_once_for_all_units_together(books: Books) -> None:
    rates = dict.fromkeys(UNITS, 1)
    (price_id,) = make_model(books, "price/tiny", {PROVIDER: rates}).values()
    priced = books.call("price", price_id=price_id, quantities=dict.fromkeys(UNITS, 1))
    assert priced["list_cost_nanos"] == 1
    assert books.call("price", price_id=price_id, quantities={})["list_cost_nanos"] == 0


def test_the_price_is_the_cost_and_the_markup(books: Books) -> None:
    model_id = "price/marked-up"
    make_model(books, model_id, {})
    cost = {"input_tokens": 10**9, "output_tokens": 10**9}
    offer = {"model_id": model_id, "provider": PROVIDER, "upstream_model": "x", "cost": cost, "markup_ppm": 50_000}
    priced = books.call("price", quantities={"input_tokens": 1000}, **books.call("publish_offer", **offer))
    assert priced == {"list_cost_nanos": 1_050_000, "provider_cost_nanos": 1_000_000}


def test_a_cache_nobody_priced_costs_what_plain_input_costs(books: Books) -> None:
    price_id = books.value(READ_PRICE, MODEL)
    used = {"input_tokens": 1, "cached_input_tokens": 2, "cache_write_tokens": 4}
    assert books.call("price", price_id=price_id, quantities=used)["list_cost_nanos"] == 7


def test_an_unknown_price_has_no_amount(books: Books) -> None:
    assert books.call("price", price_id=0, quantities={"input_tokens": 1}) is None


@pytest.mark.parametrize(
    "quantities",
    [
        {"input_token": 1},
        {"input_tokens": 1, "audio_tokens": 1},
        {"input_tokens": -1},
        {"output_tokens": MAX_QUANTITY + 1},
        {"output_tokens": 18446744073709551615},
        {"output_tokens": 1.5},
        {"output_tokens": "many"},
        {"output_tokens": [1]},
        None,
    ],
)
def test_quantities_that_cannot_be_are_refused(books: Books, quantities: dict[str, Any] | None) -> None:
    with pytest.raises((psycopg.DataError, psycopg.IntegrityError)):
        books.call("price", price_id=books.value(READ_PRICE, MODEL), quantities=quantities)
