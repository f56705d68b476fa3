"""What a settlement books, for the customer, the provider and the house."""

import uuid
from typing import Any

import psycopg
import pytest

from tests.sql.books import NANO_PER_TOKEN, PROVIDER, Books
from tests.sql.customers import Customer, make_customer, make_model

READ_TRANSFERS = """
    select kind, debit.name, credit.name, amount_nanos from gateway.transfers
      left join gateway.house_accounts as debit on debit.id = debit_account
      left join gateway.house_accounts as credit on credit.id = credit_account
     where generation_id = %s order by line_number
"""


def _transfers(books: Books, hold_id: uuid.UUID) -> list[tuple[Any, ...]]:
    """Return the lines of a settlement; None stands for the wallet."""
    return books.rows(READ_TRANSFERS, hold_id)


def _settled(customer: Customer, tokens: int, **usage: object) -> tuple[Any, list[tuple[Any, ...]]]:
    hold_id = customer.admitted(tokens=tokens)
    answer = customer.settle(hold_id, tokens, **usage)
    assert customer.books.broken_rules(customer.account_id) == []
    return answer, _transfers(customer.books, hold_id)


def test_a_hundred_requests_of_0_0039_dollars_cost_exactly_0_39(books: Books) -> None:
    customer = make_customer(books, credit=10**9)
    rates = {"input_tokens": 3 * 10**9, "output_tokens": 9 * 10**8}
    (price_id,) = make_model(books, "settle/cents", {PROVIDER: rates}).values()
    for _ in range(100):
        hold_id = customer.admitted(models=["settle/cents"], tokens=1200, output_tokens=1000)
        used = {"input_tokens": 1000, "output_tokens": 1000}
        assert customer.settle(hold_id, 0, price_id=price_id, quantities=used)["charged_nanos"] == 3_900_000
    assert customer.balance()["posted_nanos"] == 10**9 - 390_000_000


def test_what_is_charged_and_what_the_provider_takes_are_booked(books: Books) -> None:
    answer, transfers = _settled(make_customer(books, credit=1000), 10)
    assert answer == {
        "verdict": "settled",
        "cost_nanos": 10,
        "charged_nanos": 10,
        "shortfall_nanos": 0,
        "provider_cost_nanos": 10,
        "cost_excess_nanos": 0,
        "is_late": False,
        "is_repeated": False,
    }
    assert transfers == [
        ("usage", None, "revenue", 10),
        ("provider_cost", "provider_cost", "provider_payable", 10),
    ]


def test_a_reported_cost_above_ours_is_the_houses_loss_and_not_the_customers(books: Books) -> None:
    answer, transfers = _settled(make_customer(books, credit=1000), 10, reported_cost_nanos=17)
    assert (answer["charged_nanos"], answer["provider_cost_nanos"], answer["cost_excess_nanos"]) == (10, 10, 7)
    assert transfers[-1] == ("cost_excess", "shortfall", "provider_payable", 7)


@pytest.mark.parametrize("reported", [0, 4, 10])
def test_a_reported_cost_below_ours_is_what_the_provider_is_owed(books: Books, reported: int) -> None:
    answer, transfers = _settled(make_customer(books, credit=1000), 10, reported_cost_nanos=reported)
    assert (answer["charged_nanos"], answer["provider_cost_nanos"], answer["cost_excess_nanos"]) == (10, reported, 0)
    assert sum(amount for kind, _, _, amount in transfers if kind == "provider_cost") == reported


def test_a_negative_reported_cost_moves_nothing(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    hold_id = customer.admitted(tokens=10)
    with pytest.raises(psycopg.errors.CheckViolation):
        customer.settle(hold_id, 10, reported_cost_nanos=-1)
    assert _transfers(books, hold_id) == []
    assert customer.settle(hold_id, 10)["is_repeated"] is False


def test_a_waived_request_costs_the_customer_nothing_and_keeps_its_list_price(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answer, transfers = _settled(customer, 10, waived_reason="no_answer")
    assert (answer["cost_nanos"], answer["provider_cost_nanos"]) == (0, 10)
    assert [kind for kind, *_ in transfers] == ["provider_cost"]
    line = "select list_cost_nanos, cost_nanos, waived_reason from gateway.usage_lines where account_id = %s"
    assert books.rows(line, customer.account_id) == [(10, 0, "no_answer")]
    assert customer.balance()["available_nanos"] == 1000


def test_a_cost_above_the_hold_is_taken_from_what_is_free_and_the_rest_is_the_houses(books: Books) -> None:
    customer = make_customer(books, credit=100)
    hold_id = customer.admitted(tokens=60)
    answer = customer.settle(hold_id, 130)
    assert (answer["cost_nanos"], answer["charged_nanos"], answer["shortfall_nanos"]) == (130, 100, 30)
    assert ("shortfall", "shortfall", "revenue", 30) in _transfers(books, hold_id)
    assert customer.balance()["posted_nanos"] == 0


def test_what_another_hold_has_is_not_taken_for_a_cost_above_the_hold(books: Books) -> None:
    customer = make_customer(books, credit=100)
    first, second = customer.admitted(tokens=60), customer.admitted(tokens=40)
    assert customer.settle(first, 80)["shortfall_nanos"] == 20
    assert customer.settle(second, 40)["charged_nanos"] == 40


def test_a_late_settlement_is_charged_once_from_what_is_free(books: Books) -> None:
    customer = make_customer(books, credit=100)
    late = customer.admitted(tokens=90, lifetime_s=10)
    books.pass_time(seconds=10)
    other = customer.admitted(tokens=70)
    answer = customer.settle(late, 90)
    assert (answer["is_late"], answer["charged_nanos"], answer["shortfall_nanos"]) == (True, 30, 60)
    assert customer.settle(late, 90) == {**answer, "is_repeated": True}
    assert customer.settle(other, 70)["shortfall_nanos"] == 0


def test_a_hold_keeps_what_it_took_from_a_lot_that_expires(books: Books) -> None:
    customer = make_customer(books)
    customer.credit(100, kind="trial", expires_at=books.now())
    assert customer.balance()["posted_nanos"] == 0
    books.pass_time(seconds=1)
    expiring = books.now()
    customer.credit(100, kind="trial", expires_at=expiring.replace(year=expiring.year + 1))
    hold_id = customer.admitted(tokens=60, lifetime_s=2 * 366 * 86_400)
    books.set_time(expiring.replace(year=expiring.year + 1))
    assert customer.balance() == {"posted_nanos": 60, "owed_nanos": 0, "held_nanos": 60, "available_nanos": 0}
    assert customer.settle(hold_id, 50)["charged_nanos"] == 50
    assert customer.balance()["posted_nanos"] == 0
    assert books.broken_rules(customer.account_id) == []


def test_settling_again_answers_the_first_settlement_whatever_it_says(books: Books) -> None:
    customer = make_customer(books, credit=100)
    hold_id = customer.admitted(tokens=50)
    first = customer.settle(hold_id, 20)
    assert customer.settle(hold_id, 50, waived_reason="late") == {**first, "is_repeated": True}
    assert customer.balance()["posted_nanos"] == 80


def test_a_voided_hold_is_not_settled(books: Books) -> None:
    customer = make_customer(books, credit=100)
    hold_id = customer.admitted(tokens=50)
    assert customer.void(hold_id)["released_nanos"] == 50
    answer = customer.settle(hold_id, 50)
    assert (answer["verdict"], answer["status"], answer["code"]) == ("refused", 409, "hold_voided")
    assert customer.balance()["posted_nanos"] == 100


def test_an_unknown_hold_is_refused_by_every_call(books: Books) -> None:
    customer = make_customer(books)
    answers = [customer.settle(uuid.uuid4(), 1), customer.extend(uuid.uuid4(), 1), customer.void(uuid.uuid4())]
    assert [(answer["status"], answer["code"]) for answer in answers] == [(404, "unknown_hold")] * 3


@pytest.mark.parametrize(
    "usage",
    [
        {"price_id": 0},
        {"quantities": {"input_tokens": -5}},
        {"quantities": {"input_tokens": 10**10}},
        {"quantities": {"tokens": 1}},
        {"quantities": None},
        {"usage_source": "guessed"},
        {"facts": {"outcome": "fine", "is_stream": False}},
        {"facts": {"outcome": "completed"}},
    ],
)
def test_a_settlement_that_cannot_be_changes_nothing(books: Books, usage: dict[str, object]) -> None:
    customer = make_customer(books, credit=100)
    hold_id = customer.admitted(tokens=50)
    with pytest.raises(psycopg.Error):
        customer.settle(hold_id, 10, **usage)
    assert customer.balance() == {"posted_nanos": 100, "owed_nanos": 0, "held_nanos": 50, "available_nanos": 50}
    assert customer.settle(hold_id, 10)["is_repeated"] is False


def test_a_cost_of_nothing_needs_a_reason_or_a_free_price(books: Books) -> None:
    customer = make_customer(books, credit=100)
    hold_id = customer.admitted(tokens=50)
    customer.settle(hold_id, 50)
    with pytest.raises(psycopg.errors.CheckViolation):
        books.rows("update gateway.usage_lines set cost_nanos = 0, charged_nanos = 0 where generation_id = %s", hold_id)


def test_a_millionth_of_a_markup_reaches_revenue(books: Books) -> None:
    customer = make_customer(books, credit=10_000)
    make_model(books, "settle/markup", {})
    cost = {"input_tokens": 1000 * NANO_PER_TOKEN, "output_tokens": 0}
    offer = {"model_id": "settle/markup", "provider": PROVIDER, "upstream_model": "x", "cost": cost, "markup_ppm": 1}
    price_id = books.call("publish_offer", **offer)["price_id"]
    hold_id = customer.admitted(models=["settle/markup"], tokens=1)
    answer = customer.settle(hold_id, 1, price_id=price_id)
    assert (answer["charged_nanos"], answer["provider_cost_nanos"]) == (1001, 1000)
