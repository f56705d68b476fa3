"""Credit given and taken back: lots by their life, and debts."""

from datetime import timedelta

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer


def _spend(customer: Customer, tokens: int) -> None:
    assert customer.settle(customer.admitted(tokens=tokens), tokens)["shortfall_nanos"] == 0


def _state(customer: Customer) -> tuple[int, int, int]:
    balance = customer.balance()
    assert customer.books.broken_rules(customer.account_id) == []
    return balance["posted_nanos"], balance["available_nanos"], balance["owed_nanos"]


def test_the_lot_that_expires_first_is_spent_first(books: Books) -> None:
    customer = make_customer(books, credit=100)
    customer.credit(50, kind="trial", expires_at=books.now() + timedelta(days=3))
    customer.credit(50, kind="promo", expires_at=books.now() + timedelta(days=2))
    _spend(customer, 60)
    books.pass_time(days=3)
    assert _state(customer) == (100, 100, 0)


def test_a_lot_is_spendable_from_its_first_moment_to_before_its_last(books: Books) -> None:
    customer = make_customer(books)
    now = books.now()
    customer.credit(70, kind="plan", live_from=now + timedelta(days=1), expires_at=now + timedelta(days=2))
    assert customer.admit(tokens=1)["numbers"] == {"available_nanos": 0, "required_nanos": 1}
    books.pass_time(days=1)
    assert _state(customer) == (70, 70, 0)
    books.pass_time(days=1)
    assert customer.admit(tokens=1)["code"] == "insufficient_credits"
    assert _state(customer) == (0, 0, 0)


def test_what_expires_unspent_is_breakage(books: Books) -> None:
    customer = make_customer(books)
    customer.credit(70, kind="trial", expires_at=books.now() + timedelta(days=1))
    books.pass_time(days=1)
    books.call("expire_holds")
    booked = "select amount_nanos, credit_account from gateway.transfers where kind = 'breakage' and account_id = %s"
    breakage = books.value("select gateway.house('breakage')")
    assert books.rows(booked, customer.account_id) == [(70, breakage)]


def test_a_refund_takes_the_payments_own_lots_then_other_purchases_and_never_gifts(books: Books) -> None:
    customer = make_customer(books)
    customer.credit(100, source="payment-1")
    customer.credit(100, source="payment-2")
    customer.credit(20, source="payment-2", kind="promo")
    customer.credit(100, kind="trial")
    refunded = customer.credit(-150, kind="refund", source="payment-2")
    assert (refunded["moved_nanos"], refunded["owed_nanos"]) == (-150, 0)
    left = "select kind, source, remaining_nanos from gateway.lots where account_id = %s order by id"
    assert books.rows(left, customer.account_id) == [
        ("purchase", "payment-1", 70),
        ("purchase", "payment-2", 0),
        ("promo", "payment-2", 0),
        ("trial", None, 100),
    ]
    assert customer.credit(-100, kind="refund")["owed_nanos"] == 30


def test_a_refund_takes_the_months_that_a_plan_has_still_to_come(books: Books) -> None:
    customer = make_customer(books)
    for month in range(3):
        begins = books.now() + timedelta(days=30 * month)
        customer.credit(100, kind="plan", source="payment-3", live_from=begins, expires_at=begins + timedelta(days=30))
    assert customer.credit(-300, kind="refund", source="payment-3")["owed_nanos"] == 0
    books.pass_time(days=40)
    assert _state(customer) == (0, 0, 0)


def test_what_was_spent_before_it_is_taken_back_is_owed_and_repaid_by_the_next_purchase(books: Books) -> None:
    customer = make_customer(books, credit=100)
    _spend(customer, 80)
    taken = customer.credit(-100, kind="dispute")
    assert (taken["moved_nanos"], taken["owed_nanos"]) == (-20, 80)
    assert _state(customer) == (0, 0, 80)
    customer.credit(30, kind="promo")
    assert _state(customer) == (30, 30, 80)
    customer.credit(50)
    assert _state(customer) == (30, 30, 30)
    customer.credit(50)
    assert _state(customer) == (50, 50, 0)


def test_what_a_hold_has_is_not_taken_back_but_repays_when_it_returns(books: Books) -> None:
    customer = make_customer(books, credit=100)
    hold_id = customer.admitted(tokens=60)
    assert customer.credit(-100, kind="refund")["owed_nanos"] == 60
    assert customer.settle(hold_id, 25)["charged_nanos"] == 25
    assert _state(customer) == (0, 0, 25)


def test_a_held_part_repays_a_debt_when_its_hold_expires_even_if_its_lot_expires_before_anyone_looks(
    books: Books,
) -> None:
    customer = make_customer(books)
    customer.credit(100, expires_at=books.now() + timedelta(seconds=60))
    customer.admitted(tokens=100, lifetime_s=30)
    assert customer.credit(-40, kind="refund")["owed_nanos"] == 40
    books.pass_time(seconds=90)
    assert _state(customer) == (0, 0, 0)


def test_a_held_part_whose_lot_expired_before_its_hold_repays_nothing(books: Books) -> None:
    customer = make_customer(books)
    customer.credit(100, expires_at=books.now() + timedelta(seconds=30))
    customer.admitted(tokens=100, lifetime_s=60)
    customer.credit(-40, kind="refund")
    books.pass_time(seconds=90)
    assert _state(customer) == (0, 0, 40)


def test_the_same_key_again_moves_nothing_and_another_amount_is_refused(books: Books) -> None:
    customer = make_customer(books)
    assert customer.credit(100, key="k")["is_repeated"] is False
    assert customer.credit(100, key="k")["is_repeated"] is True
    refused = customer.credit(101, key="k")
    assert (refused["status"], refused["code"]) == (409, "idempotency_key_reused")
    assert refused["numbers"] == {"amount_nanos": 100}
    _spend(customer, 90)
    taken = customer.credit(-100, key="back", kind="refund")
    assert customer.credit(-100, key="back", kind="refund") == {**taken, "is_repeated": True}
    assert customer.credit(-10, key="back", kind="refund")["numbers"] == {"amount_nanos": -100}
    assert _state(customer) == (0, 0, 90)


def test_the_same_key_of_another_account_is_another_credit(books: Books) -> None:
    for customer in (make_customer(books), make_customer(books)):
        assert customer.credit(100, key="shared")["is_repeated"] is False


def test_nothing_and_no_account_are_refused(books: Books) -> None:
    assert make_customer(books).credit(0)["code"] == "zero_amount"
    credit = {"amount_nanos": 1, "kind": "purchase", "idempotency_key": "x"}
    answer = books.call("credit_account", account_id=999_999_999, **credit)
    assert (answer["status"], answer["code"]) == (404, "unknown_account")
    assert books.call("read_balance", account_id=999_999_999) is None


@pytest.mark.parametrize("kind", ["purchase", "trial", "plan", "promo", "referral", "gift", None])
def test_credit_is_taken_back_only_as_refund_dispute_or_correction(books: Books, kind: str) -> None:
    customer = make_customer(books, credit=100)
    with pytest.raises(psycopg.Error):
        customer.credit(-10, kind=kind)
    assert _state(customer) == (100, 100, 0)


@pytest.mark.parametrize("kind", ["refund", "dispute", "gift", None])
def test_credit_is_given_only_as_a_kind_of_lot(books: Books, kind: str) -> None:
    customer = make_customer(books)
    with pytest.raises(psycopg.errors.IntegrityError):
        customer.credit(10, kind=kind)
    assert _state(customer) == (0, 0, 0)


def test_a_correction_may_take_back_what_an_admin_gave(books: Books) -> None:
    customer = make_customer(books)
    customer.credit(100, kind="admin")
    assert customer.credit(-60, kind="admin")["moved_nanos"] == -60
    assert _state(customer) == (40, 40, 0)


def test_an_account_made_again_is_the_same_account(books: Books) -> None:
    account = {"external_id": "same", "plan_id": "free"}
    assert books.call("create_account", **account) == books.call("create_account", **account)


def test_the_checker_finds_a_wallet_that_was_tampered_with(books: Books) -> None:
    customer = make_customer(books, credit=100)
    with books.owner.transaction(force_rollback=True):
        books.rows("update gateway.wallets set posted_nanos = 101 where account_id = %s", customer.account_id)
        cursor = books.owner.execute("select api.check_books(%s)", (customer.account_id,))
        ((found,),) = cursor.fetchall()
    assert [broken["rule"] for broken in found] == [
        "wallet = its credits - its debits",
        "wallet = what is left in its lots + what holds took",
        "wallet = balance after its last line",
    ]
