"""What is paid for a plan: the house's revenue, once, and of the allowances what a refund or a dispute may take."""

import itertools
from datetime import timedelta

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.payment_machine import KEEP_PLAN_PAYMENT
from tests.sql.payments import NANOS_PER_CENT, AtStripe, Buyer, make_buyer, row, sync
from tests.sql.test_payments import DELETE_ACCOUNT, READ_HOUSE

_numbers = itertools.count(1)

READ_MONTHS = "select remaining_nanos from gateway.lots where source = %s and kind = 'plan' order by live_from"


def _plan(buyer: Buyer, cents: int = 100) -> AtStripe:
    return AtStripe(f"pi_of_plan{next(_numbers)}", "plan", buyer.customer_id, cents)


def _give(buyer: Buyer, payment: AtStripe, *months: int, in_all: int | None = None) -> None:
    """Give each month its lot, and say what the payment has given."""
    now = buyer.books.now()
    for month, amount in enumerate(months):
        begins = now + timedelta(days=30 * month)
        ends = begins + timedelta(days=30)
        buyer.customer.credit(amount, kind="plan", source=payment.id, live_from=begins, expires_at=ends)
    _keep(buyer, payment, sum(months) if in_all is None else in_all)


def _keep(buyer: Buyer, payment: AtStripe, in_all: int) -> None:
    buyer.books.rows(KEEP_PLAN_PAYMENT, buyer.account_id, payment.id, payment.received_cents, in_all)


def _months(buyer: Buyer, payment: AtStripe) -> list[int]:
    assert buyer.books.broken_rules(buyer.account_id) == []
    return [remaining for (remaining,) in buyer.books.rows(READ_MONTHS, payment.id)]


@pytest.mark.parametrize("is_payment_first", [True, False])
def test_what_is_paid_is_revenue_once_whichever_is_told_first(books: Books, *, is_payment_first: bool) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    for _ in range(2):
        if is_payment_first:
            sync(books, payment)
        _keep(buyer, payment, 0)
        sync(books, payment)
    assert books.value(READ_HOUSE, "stripe", payment.id) == 100 * NANOS_PER_CENT
    assert books.value(READ_HOUSE, "revenue", payment.id) == -100 * NANOS_PER_CENT
    assert buyer.balance() == (0, 0)


def test_a_refund_takes_the_months_to_come_first_and_asks_back_nothing_that_was_used(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000, 1000, 1000, 1000)
    buyer.customer.credit(500)
    buyer.spend(600)
    payment.refund(50)
    sync(books, payment)
    assert _months(buyer, payment) == [400, 1000, 0, 0]
    payment.refund(50)
    for _ in range(2):
        sync(books, payment)
        assert _months(buyer, payment) == [0, 0, 0, 0]
    assert buyer.balance() == (500, 0)
    assert books.value(READ_HOUSE, "revenue", payment.id) == 0


def test_a_dispute_takes_what_was_used_from_purchases_too_and_the_rest_is_owed(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    buyer.customer.credit(100)
    buyer.spend(600)
    dispute = payment.dispute(100)
    sync(books, payment)
    assert buyer.balance() == (0, 500)
    dispute.update(status="won", is_withdrawn=False)
    for _ in range(2):
        sync(books, payment)
        # What came from purchases is one again; the month has what was left of it.
        assert buyer.balance() == (500, 0)
        assert _months(buyer, payment) == [400]
    books.pass_time(days=31)
    assert buyer.balance() == (100, 0)


@pytest.mark.parametrize("steps", list(itertools.permutations(["refund", "dispute"])))
def test_a_refund_and_a_dispute_of_halves_come_to_the_same_in_both_orders(books: Books, steps: tuple[str, ...]) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    buyer.spend(500)
    for step in steps:
        getattr(payment, step)(50)
        sync(books, payment)
    # The refund has the first claim on what is left: 500. The dispute's 500 were used.
    assert buyer.balance() == (0, 500)


def test_a_refund_that_fails_gives_the_months_back_and_those_that_are_over_lapse(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000, 1000)
    refund = payment.refund(100)
    sync(books, payment)
    assert _months(buyer, payment) == [0, 0]
    books.pass_time(days=31)
    refund["status"] = "failed"
    sync(books, payment)
    assert _months(buyer, payment) == [0, 1000]
    assert buyer.balance() == (1000, 0)


def test_allowances_that_are_given_after_their_payment_was_refunded_are_taken_at_once(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    payment.refund(50)
    sync(books, payment)
    _give(buyer, payment, 1000)
    assert _months(buyer, payment) == [500]
    _give(buyer, payment, 400, in_all=1400)
    assert sum(_months(buyer, payment)) == 700
    _keep(buyer, payment, 1000)
    assert sum(_months(buyer, payment)) == 700


def test_what_a_hold_had_of_a_refunded_plan_is_taken_when_it_is_voided(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    hold = buyer.customer.admitted(tokens=900)
    payment.refund(100)
    sync(books, payment)
    assert buyer.balance() == (0, 0)
    buyer.customer.void(hold)
    assert buyer.balance() == (0, 0)
    assert row(books, payment)[5] == 1000


def test_of_a_hold_on_a_refunded_plan_what_is_not_used_is_taken_when_it_is_settled(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    hold = buyer.customer.admitted(tokens=900)
    payment.refund(100)
    sync(books, payment)
    assert buyer.customer.settle(hold, 300)["charged_nanos"] == 300
    assert buyer.balance() == (0, 0)
    assert row(books, payment)[5] == 700


def test_what_an_overdue_hold_had_of_a_refunded_plan_is_taken_before_anything_is_admitted(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    buyer.customer.admitted(tokens=900, lifetime_s=60)
    payment.refund(50)
    sync(books, payment)
    assert buyer.balance() == (0, 0)
    books.pass_time(seconds=61)
    assert buyer.customer.admit(tokens=501)["numbers"] == {"available_nanos": 500, "required_nanos": 501}
    assert buyer.balance() == (500, 0)


def test_what_a_hold_had_of_a_disputed_plan_repays_what_was_owed_for_it(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    hold = buyer.customer.admitted(tokens=900)
    dispute = payment.dispute(100)
    sync(books, payment)
    assert buyer.balance() == (0, 900)
    buyer.customer.void(hold)
    assert buyer.balance() == (0, 0)
    dispute.update(status="won", is_withdrawn=False)
    sync(books, payment)
    assert buyer.balance() == (1000, 0)
    assert _months(buyer, payment) == [1000]


def test_what_a_hold_had_of_a_disputed_plan_gives_purchases_back_what_they_gave_for_it(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    buyer.customer.credit(600)
    hold = buyer.customer.admitted(tokens=900)
    payment.dispute(100)
    sync(books, payment)
    assert buyer.balance() == (0, 300)
    buyer.customer.void(hold)
    assert buyer.balance() == (600, 0)
    books.pass_time(days=31)
    assert buyer.balance() == (600, 0), "it is a purchase again, and does not lapse with the month"


def test_what_a_hold_had_of_a_month_that_is_over_lapses_and_is_not_taken(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    _give(buyer, payment, 1000)
    hold = buyer.customer.admitted(tokens=900, lifetime_s=40 * 86_400)
    payment.refund(100)
    sync(books, payment)
    books.pass_time(days=31)
    buyer.customer.void(hold)
    assert buyer.balance() == (0, 0)
    assert row(books, payment)[5] == 100


def test_a_payment_for_a_plan_of_a_deleted_account_is_to_be_paid_back(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer)
    books.rows(DELETE_ACCOUNT, buyer.account_id)
    _keep(buyer, payment, 0)
    assert sync(books, payment)["verdict"] == "refund_due"
    assert payment.id in books.call("due_refunds", limit=1000)
    assert row(books, payment)[1] == 0
    assert buyer.worth() == 0


def test_a_payment_is_not_kept_for_another_account_or_for_credits(books: Books) -> None:
    buyer, other = make_buyer(books), make_buyer(books)
    plan, credits = _plan(buyer), buyer.bought(100)
    sync(books, plan)
    for whose, payment in ((other, plan), (buyer, credits)):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            _keep(whose, payment, 10)
    assert other.worth() == 0


def test_tax_enters_no_book(books: Books) -> None:
    buyer = make_buyer(books)
    payment = _plan(buyer, 119)
    payment.tax_cents = 19
    sync(books, payment)
    payment.refund(119)
    assert books.value(READ_HOUSE, "revenue", payment.id) == -100 * NANOS_PER_CENT
    sync(books, payment)
    assert books.value(READ_HOUSE, "revenue", payment.id) == 0
