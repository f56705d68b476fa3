"""What a plan's invoices give: dated credit for each month that is paid for, in any order and however often posted."""

import time
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.clients.database import DEADLINE_S as DATABASE_DEADLINE_S
from tests.sql.books import Books
from tests.sql.payments import AtStripe, sync
from tests.sql.subscribers import DEV, TEAM, Subscriber, make_subscriber, sell_plans


def at(*parts: int) -> int:
    return int(datetime(*parts, tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]


@pytest.fixture(scope="module", autouse=True)
def with_prices(books: Books) -> None:
    sell_plans(books)


@pytest.fixture(autouse=True)
def at_start(books: Books) -> None:
    books.set_time(datetime(2031, 1, 31, 12, tzinfo=UTC))


def test_a_paid_month_gives_its_allowance_once(books: Books) -> None:
    subscriber = make_subscriber(books)
    told = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12)).told()
    for _ in range(3):
        assert subscriber.post(told)["verdict"] == "posted"
    (lot,) = subscriber.lots()
    assert lot == (25_000_000_000, at(2031, 1, 31, 12), at(2031, 2, 28, 12), told["invoices"][0]["payment_id"])
    assert subscriber.customer.balance()["available_nanos"] == 25_000_000_000
    assert books.broken_rules(subscriber.account_id) == []


def test_an_allowance_goes_with_its_month(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscriber.post(subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12)).told())
    books.set_time(datetime(2031, 2, 28, 11, 59, 59, tzinfo=UTC))
    assert subscriber.customer.balance()["available_nanos"] == 25_000_000_000
    books.pass_time(seconds=1)
    assert subscriber.customer.balance()["available_nanos"] == 0
    assert books.broken_rules(subscriber.account_id) == []


def test_a_year_gives_twelve_months_of_which_one_can_be_spent(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscriber.post(subscriber.subscribe(DEV, "year", at(2031, 1, 31, 12)).told())
    lots = subscriber.lots()
    ends = [at(2031, 2, 28, 12), at(2031, 3, 31, 12), at(2031, 4, 30, 12), *(lot[2] for lot in lots[3:])]
    assert [lot[2] for lot in lots] == ends
    assert [lot[1] for lot in lots] == [at(2031, 1, 31, 12), *ends[:-1]]
    assert (len(lots), ends[-1], {lot[0] for lot in lots}) == (12, at(2032, 1, 31, 12), {25_000_000_000})
    assert subscriber.customer.balance()["available_nanos"] == 25_000_000_000


@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_upgrade_gives_the_difference_for_the_rest_of_the_month_whichever_is_paid_first(
    books: Books, order: tuple[int, int]
) -> None:
    subscriber = make_subscriber(books)
    subscription = subscriber.subscribe(DEV, "month", at(2031, 4, 1))
    books.set_time(datetime(2031, 4, 1, tzinfo=UTC))
    # Ten of thirty days are over.
    subscription.upgrade(TEAM, at(2031, 4, 11))
    first = subscription.invoices[order[0]].id
    subscriber.post(subscription.told(paid=[first]))
    subscriber.post(subscription.told())
    assert sum(lot[0] for lot in subscriber.lots()) == 25_000_000_000 * 10 // 30 + 90_000_000_000 * 20 // 30
    amounts = {lot[1]: lot[0] for lot in subscriber.lots()}
    if order == (0, 1):
        assert amounts == {at(2031, 4, 1): 25_000_000_000, at(2031, 4, 11): 65_000_000_000 * 20 // 30}
    else:
        assert amounts[at(2031, 4, 11)] == 60_000_000_000
    assert subscriber.plan() == "team"
    assert books.broken_rules(subscriber.account_id) == []


def test_a_line_below_zero_gives_and_takes_nothing(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscription = subscriber.subscribe(TEAM, "month", at(2031, 4, 1))
    books.set_time(datetime(2031, 4, 1, tzinfo=UTC))
    subscription.upgrade(DEV, at(2031, 4, 11))
    subscriber.post(subscription.told())
    assert [lot[0] for lot in subscriber.lots()] == [90_000_000_000]


def test_an_invoice_that_is_not_paid_gives_nothing_until_it_is(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscription = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12))
    subscriber.post(subscription.told(paid=[], status="incomplete"))
    assert (subscriber.lots(), subscriber.plan()) == ([], "free")
    subscriber.post(subscription.told())
    assert (len(subscriber.lots()), subscriber.plan()) == (1, "dev")


def test_what_a_late_webhook_would_give_of_a_past_month_is_not_given(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscription = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12))
    subscription.renew()
    books.set_time(datetime(2031, 3, 5, tzinfo=UTC))
    subscriber.post(subscription.told())
    assert [(lot[0], lot[2]) for lot in subscriber.lots()] == [(25_000_000_000, at(2031, 3, 31, 12))]
    assert books.broken_rules(subscriber.account_id) == []


def test_a_plan_that_gives_more_by_now_gives_what_it_was_sold_with(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscription = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12))
    books.rows("update gateway.plans set monthly_allowance_nanos = 40000000000 where id = 'dev'")
    try:
        subscriber.post(subscription.told())
        assert [lot[0] for lot in subscriber.lots()] == [25_000_000_000]
    finally:
        books.rows("update gateway.plans set monthly_allowance_nanos = 25000000000 where id = 'dev'")


def test_a_line_of_a_price_that_nobody_knows_is_laid_aside_and_the_others_are_given(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscription = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12))
    told = subscription.told()
    told["invoices"][0]["lines"].append({**told["invoices"][0]["lines"][0], "id": "il_odd", "price_id": "price_odd"})
    subscriber.post(told)
    assert [lot[0] for lot in subscriber.lots()] == [25_000_000_000]
    letters = books.rows(
        "select subject, reason from gateway.dead_letters where starts_with(subject, %s)", subscription.id
    )
    assert letters == [(f"{subscription.id}:il_odd", "unknown price of a line")]


@pytest.mark.parametrize("length_s", [0, -1, 367 * 86_400 + 1])
def test_a_line_of_an_impossible_length_is_laid_aside(books: Books, length_s: int) -> None:
    subscriber = make_subscriber(books)
    told = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12)).told()
    line = told["invoices"][0]["lines"][0]
    line["ends_at"] = line["starts_at"] + length_s
    subscriber.post(told)
    assert subscriber.lots() == []


def test_the_same_time_under_another_lines_id_gives_nothing_more(books: Books) -> None:
    subscriber = make_subscriber(books)
    told = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12)).told()
    subscriber.post(told)
    told["invoices"][0]["lines"][0]["id"] += "_again"
    subscriber.post(told)
    assert [lot[0] for lot in subscriber.lots()] == [25_000_000_000]


def test_what_was_given_is_never_rewritten(books: Books) -> None:
    with pytest.raises(Exception, match="append-only"):
        books.rows("delete from gateway.allowances")


def test_an_invoice_that_needed_no_payment_gives_under_its_own_name(books: Books) -> None:
    subscriber = make_subscriber(books)
    told = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12)).told()
    told["invoices"][0] |= {"payment_id": None, "amount_paid_cents": 0}
    subscriber.post(told)
    assert [lot[3] for lot in subscriber.lots()] == [told["invoices"][0]["id"]]
    assert books.broken_rules(subscriber.account_id) == []


def _payment_of(subscriber: Subscriber, told: dict[str, Any], number: int = 0) -> AtStripe:
    """Return the payment of an invoice, as Stripe would tell of it."""
    invoice = told["invoices"][number]
    return AtStripe(invoice["payment_id"], "plan", subscriber.customer_id, invoice["amount_paid_cents"])


@pytest.mark.parametrize("is_refund_first", [True, False])
def test_half_of_a_refunded_month_goes_whether_it_was_given_before_or_after(
    books: Books, *, is_refund_first: bool
) -> None:
    subscriber = make_subscriber(books)
    told = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12)).told()
    payment = _payment_of(subscriber, told)
    payment.refund(1_450)
    for posts in (sync, None) if is_refund_first else (None, sync):
        if posts is None:
            subscriber.post(told)
        else:
            posts(books, payment)
    assert subscriber.customer.balance()["available_nanos"] == 12_500_000_000
    subscriber.post(told)
    sync(books, payment)
    assert subscriber.customer.balance()["available_nanos"] == 12_500_000_000
    assert books.broken_rules(subscriber.account_id) == []


def test_a_disputed_year_takes_all_its_months_and_a_won_one_brings_them_back(books: Books) -> None:
    subscriber = make_subscriber(books)
    told = subscriber.subscribe(TEAM, "year", at(2031, 1, 31, 12)).told()
    subscriber.post(told)
    payment = _payment_of(subscriber, told)
    dispute = payment.dispute(payment.received_cents)
    sync(books, payment)
    assert subscriber.customer.balance()["available_nanos"] == 0
    dispute |= {"status": "won", "is_withdrawn": False}
    sync(books, payment)
    assert subscriber.customer.balance()["available_nanos"] == 90_000_000_000
    # Each month has what it had.
    books.set_time(datetime(2031, 12, 31, 12, tzinfo=UTC))
    assert subscriber.customer.balance()["available_nanos"] == 90_000_000_000
    assert books.broken_rules(subscriber.account_id) == []


def test_five_years_of_invoices_are_posted_within_a_fraction_of_the_deadline(books: Books) -> None:
    subscriber = make_subscriber(books)
    subscription = subscriber.subscribe(DEV, "month", at(2031, 1, 31, 12))
    for _ in range(60):
        subscription.renew()
    told = subscription.told()
    begun_s = time.monotonic()
    subscriber.post(told)
    subscriber.post(told)
    assert time.monotonic() - begun_s < DATABASE_DEADLINE_S
    assert len(subscriber.lots()) == 61
