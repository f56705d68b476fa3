"""What an account is told of itself, and what it may change while it is being changed."""

import uuid
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books, call
from tests.sql.customers import Customer, make_customer, settlement
from tests.sql.pages import caller_of, give_scopes
from tests.sql.races import answer_of_the_second

SUSPEND = b"update gateway.accounts set status = 'suspended' where id = %s"
END = b"update gateway.accounts set status = 'deleted', deleted_at = now() where id = %s"
READ_CHANGED = "select name, email_preferences::text, low_balance_threshold_nanos from gateway.accounts where id = %s"
CHANGES: dict[str, dict[str, object]] = {
    "update_profile": {"name": "Ada"},
    "update_email_preferences": {"emails": {"news": True}, "low_balance_threshold_nanos": 77},
}


def _owner(books: Books, credit: int = 0) -> Customer:
    customer = make_customer(books, credit=credit)
    give_scopes(customer, "account:read", "account:write")
    return customer


def _balance(customer: Customer) -> Any:
    return customer.books.call("read_account_balance", caller=caller_of(customer))


def _key_limits(customer: Customer) -> Any:
    return customer.books.call("read_limits", caller=caller_of(customer))["key"]


@pytest.mark.parametrize("function", CHANGES)
@pytest.mark.parametrize(("ending", "code"), [(SUSPEND, "account_suspended"), (END, "invalid_api_key")])
def test_what_became_of_the_account_meanwhile_is_seen_before_it_is_changed(
    books: Books, function: str, ending: bytes, code: str
) -> None:
    customer = _owner(books)
    before = books.rows(READ_CHANGED, customer.account_id)

    def change(session: psycopg.Connection) -> Any:
        session.execute("set role service_role")
        answer = call(session, function, caller=caller_of(customer, "account:write"), changes=CHANGES[function])
        session.commit()
        return answer

    answer = answer_of_the_second(books, lambda session: session.execute(ending, (customer.account_id,)), change)
    assert answer["code"] == code
    assert books.rows(READ_CHANGED, customer.account_id) == before


def test_limits_are_those_after_the_wait_for_the_wallet(books: Books) -> None:
    customer = _owner(books, credit=10_000)
    customer.set_key(spend_limit_nanos=5000)
    generation_id = customer.admitted(tokens=1000)

    def settle(session: psycopg.Connection) -> None:
        session.execute("set role service_role")
        call(session, "settle", generation_id=generation_id, **settlement(books, 900))

    def look(session: psycopg.Connection) -> Any:
        session.execute("set role service_role")
        return call(session, "read_limits", caller=caller_of(customer))

    assert answer_of_the_second(books, settle, look)["key"]["spent_nanos"] == 900


def test_what_is_held_counts_as_spent_until_its_time_is_over(books: Books) -> None:
    customer = _owner(books, credit=10_000)
    customer.set_key(spend_limit_nanos=5000)
    customer.settle(customer.admitted(tokens=70), 70)
    customer.admitted(tokens=300, lifetime_s=60)
    assert _key_limits(customer)["spent_nanos"] == 370
    books.pass_time(minutes=2)
    assert _key_limits(customer)["spent_nanos"] == 70


def test_a_trial_is_over_with_the_first_purchase_however_that_was_used(books: Books) -> None:
    customer = _owner(books)
    customer.credit(10, kind="trial", expires_at=books.now() + timedelta(days=3))
    customer.credit(7, kind="promo")
    assert _balance(customer)["status"] == "trial"
    customer.credit(100)
    customer.settle(customer.admitted(tokens=50), 50)
    assert _balance(customer)["status"] == "active"
    # All of the purchase is held, and then it is spent: no lot that is open says that it was.
    held = customer.admitted(tokens=67)
    assert _balance(customer)["status"] == "active"
    customer.settle(held, 67)
    shown = _balance(customer)
    assert (shown["status"], shown["lots"], shown["trial"]["remaining_nanos"]) == ("active", [], 0)


def test_a_trial_that_has_not_begun_does_not_run(books: Books) -> None:
    customer = _owner(books)
    begins = books.now() + timedelta(days=1)
    customer.credit(10, kind="trial", live_from=begins, expires_at=begins + timedelta(days=2))
    shown = _balance(customer)
    assert (shown["status"], shown["trial"], len(shown["lots"])) == ("active", None, 1)
    books.pass_time(days=1)
    shown = _balance(customer)
    assert (shown["status"], shown["trial"]["remaining_nanos"]) == ("trial", 10)


def test_more_grants_than_are_shown_are_told_of(books: Books) -> None:
    customer = _owner(books)
    for number in range(101):
        customer.credit(1, kind="promo", expires_at=books.now() + timedelta(days=number + 1))
        shown = _balance(customer)
        assert (len(shown["lots"]), shown["has_more_lots"]) == (min(100, number + 1), number >= 100)
    assert shown["available_nanos"] == 101


def test_a_suspended_account_is_told_so_whatever_it_has(books: Books) -> None:
    customer = _owner(books, credit=5)
    books.rows(SUSPEND.decode(), customer.account_id)
    assert _balance(customer)["status"] == "suspended"
    assert customer.admit(generation_id=uuid.uuid4())["code"] == "account_suspended"
