"""The ledger as its owner reads it: every line once, newest first, with the balance it left."""

import shutil
import uuid
from collections.abc import Iterator
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.migrate import MIGRATIONS_FOLDER, apply_migrations
from infra.local.stack import LocalStack
from tests.sql.books import Books, own_database
from tests.sql.customers import Customer, make_customer, settlement
from tests.sql.pages import give_scopes, transaction_pages, transactions
from tests.sql.races import Call, Crowd, crowd_of

MIGRATION = "20261103000450_transactions.sql"
LINES_WITH_BALANCE = """
    select id, balance_after_nanos, case when credit_account = account_id then amount_nanos else -amount_nanos end
      from gateway.transfers where account_id = %s order by id
"""
# What one step of a customer's life may be: credit or spend so much, take back, or wait.
STEPS = st.lists(
    st.tuples(st.sampled_from(["purchase", "trial", "spend", "refund", "wait"]), st.integers(1, 60)),
    min_size=1,
    max_size=14,
)


def _reader(books: Books, credit: int = 0) -> Customer:
    customer = make_customer(books, credit=credit)
    give_scopes(customer, "account:read")
    return customer


def _spend(customer: Customer, tokens: int) -> uuid.UUID:
    generation_id = customer.admitted(tokens=tokens)
    assert customer.settle(generation_id, tokens)["shortfall_nanos"] == 0
    return generation_id


def _all(customer: Customer, **asked: object) -> list[dict[str, Any]]:
    return [line for page in transaction_pages(customer, **asked) for line in page]


def _assert_running_balance(customer: Customer) -> None:
    lines = customer.books.rows(LINES_WITH_BALANCE, customer.account_id)
    balance = 0
    for _, after, moved in lines:
        balance += moved
        assert after == balance
    assert balance == customer.balance()["posted_nanos"]


@given(steps=STEPS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_line_says_what_the_balance_was_after_it(books: Books, steps: list[tuple[str, int]]) -> None:
    customer = _reader(books, credit=40)
    for step, amount in steps:
        if step == "spend":
            customer.settle(customer.admitted(tokens=0), amount)
        elif step == "refund":
            customer.credit(-amount, kind="refund")
        elif step == "wait":
            books.pass_time(seconds=amount)
        else:
            expires_at = books.now() + timedelta(seconds=50) if step == "trial" else None
            customer.credit(amount, kind=step, expires_at=expires_at)
    customer.balance()
    lines = _all(customer, limit=3)
    assert [line["id"] for line in lines] == sorted((line["id"] for line in lines), reverse=True)
    for newer, older in pairwise(lines):
        assert newer["balance_after_nanos"] == older["balance_after_nanos"] + newer["amount_nanos"]
    assert lines[-1]["balance_after_nanos"] == lines[-1]["amount_nanos"]
    assert lines[0]["balance_after_nanos"] == customer.balance()["posted_nanos"]
    assert books.broken_rules(customer.account_id) == []


@pytest.fixture(scope="module")
def crowd(books: Books) -> Iterator[Crowd]:
    with crowd_of(books, 50) as crowd:
        yield crowd


def _fifty_settlements_at_once(customer: Customer, crowd: Crowd) -> None:
    calls: list[Call] = [
        ("settle", {"generation_id": customer.admitted(tokens=10), **settlement(customer.books, 10)}) for _ in range(50)
    ]
    answers = crowd.call_at_once(customer.account_id, calls)
    assert all(answer["charged_nanos"] == 10 for answer in answers)


def test_balances_are_right_after_settlements_at_once(books: Books, crowd: Crowd) -> None:
    customer = _reader(books, credit=600)
    _fifty_settlements_at_once(customer, crowd)
    lines = _all(customer, kinds=["usage"])
    assert [line["balance_after_nanos"] for line in lines] == list(range(100, 600, 10))
    _assert_running_balance(customer)


def test_the_checker_sees_balances_that_were_written_without_the_lock(own_ledger: Books) -> None:
    customer = _reader(own_ledger, credit=600)
    ids = [customer.admitted(tokens=10) for _ in range(2)]
    first, second = psycopg.connect(own_ledger.url), psycopg.connect(own_ledger.url)
    # Two that post without waiting for each other see the same last line.
    for session, generation_id in ((first, ids[0]), (second, ids[1])):
        post = "select gateway.post(%s, 1, %s, gateway.house('revenue'), 10, 'usage', null, %s, gateway.clock())"
        session.execute(post.encode(), (f"settle:{generation_id}", customer.account_id, generation_id))
    for session in (first, second):
        session.commit()
        session.close()
    rules = {broken["rule"] for broken in own_ledger.broken_rules(customer.account_id)}
    assert "balance after a line = balance before it and the line" in rules
    assert "wallet = balance after its last line" in rules


def test_no_line_is_lost_or_read_twice_while_new_ones_arrive(books: Books) -> None:
    customer = _reader(books, credit=1000)
    for _ in range(25):
        _spend(customer, 1)
    before = {line["id"] for line in _all(customer)}
    read: list[int] = []
    for page in transaction_pages(customer, limit=4):
        read += [line["id"] for line in page]
        _spend(customer, 1)
    assert len(read) == len(set(read))
    assert before == set(read)


def test_lines_name_their_kind_their_request_and_their_payment(books: Books) -> None:
    customer = _reader(books)
    customer.credit(100, kind="purchase", source="pi_123")
    customer.credit(5, kind="promo", source="WELCOME", expires_at=books.now() + timedelta(hours=1))
    generation_id = _spend(customer, 8)
    customer.credit(-20, kind="refund", source="pi_123")
    shown = [
        (line["kind"], line["amount_nanos"], line["balance_after_nanos"], line["generation_id"], line["payment_id"])
        for line in transactions(customer)["lines"]
    ]
    assert shown == [
        ("refund", -20, 77, None, "pi_123"),
        ("usage", -3, 97, str(generation_id), None),
        ("usage", -5, 100, str(generation_id), None),
        ("promo", 5, 105, None, None),
        ("purchase", 100, 100, None, "pi_123"),
    ]


def test_a_refund_names_the_payment_that_was_refunded_whatever_it_was_taken_from(books: Books) -> None:
    customer = _reader(books)
    customer.credit(100, source="pi_A")
    customer.credit(50, source="pi_B", expires_at=books.now() + timedelta(days=9))
    # What expires first is spent first: of the payment that is refunded nothing is left.
    _spend(customer, 50)
    customer.credit(-50, kind="refund", source="pi_B")
    customer.credit(-10, kind="dispute", source="pi_A")
    customer.credit(-5, kind="refund")
    shown = [(line["kind"], line["amount_nanos"], line["payment_id"]) for line in _all(customer)]
    assert shown == [
        ("refund", -5, None),
        ("dispute", -10, "pi_A"),
        ("refund", -50, "pi_B"),
        ("usage", -50, None),
        ("purchase", 50, "pi_B"),
        ("purchase", 100, "pi_A"),
    ]


def test_what_is_refunded_after_it_was_spent_is_owed_and_shown_once_it_is_repaid(books: Books) -> None:
    customer = _reader(books)
    customer.credit(50, source="pi_C")
    _spend(customer, 30)
    assert customer.credit(-50, kind="refund", source="pi_C")["owed_nanos"] == 30
    assert customer.balance()["owed_nanos"] == 30
    customer.credit(80, source="pi_D")
    shown = [
        (line["kind"], line["amount_nanos"], line["balance_after_nanos"], line["payment_id"]) for line in _all(customer)
    ]
    assert shown == [
        ("repayment", -30, 50, None),
        ("purchase", 80, 80, "pi_D"),
        ("refund", -20, 0, "pi_C"),
        ("usage", -30, 20, None),
        ("purchase", 50, 50, "pi_C"),
    ]
    owed = "select source, amount_nanos from gateway.transfers where kind = 'owed' and source = 'pi_C'"
    assert books.rows(owed) == [("pi_C", 30)]


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        (["usage"], ["usage"] * 3),
        (["purchase"], ["purchase"] * 2),
        (["purchase", "usage"], ["usage", "usage", "purchase", "usage", "purchase"]),
        (["refund", "dispute"], []),
    ],
)
def test_kinds_are_chosen(books: Books, kinds: list[str], expected: list[str]) -> None:
    customer = _reader(books)
    customer.credit(50)
    _spend(customer, 1)
    customer.credit(50)
    _spend(customer, 1)
    _spend(customer, 1)
    assert [line["kind"] for line in _all(customer, limit=2, kinds=kinds)] == expected


def test_a_window_begins_at_from_and_ends_before_to(books: Books) -> None:
    customer = _reader(books)
    start = books.now()
    for amount in range(1, 31):
        customer.credit(amount)
        books.pass_time(minutes=1)
    for first, last in ((0, 30), (7, 19), (0, 1), (29, 30), (12, 12), (-9, 3), (25, 99)):
        window = {"from": start + timedelta(minutes=first), "to": start + timedelta(minutes=last)}
        amounts = [line["amount_nanos"] for line in _all(customer, limit=5, **window)]
        assert amounts == list(range(min(30, last), max(0, first), -1)), (first, last)
    assert _all(customer, kinds=["purchase"], **{"from": start + timedelta(minutes=28)}) == _all(customer)[:2]


def test_a_window_loses_no_line_when_the_clock_was_set_back(books: Books) -> None:
    customer = _reader(books)
    start = books.now()
    for seconds in (0, 60, 120, 90, 30, 180, 150):
        books.set_time(start + timedelta(seconds=seconds))
        customer.credit(seconds + 1)
    books.set_time(start + timedelta(minutes=10))
    window = {"from": start + timedelta(seconds=60), "to": start + timedelta(seconds=150)}
    assert sorted(line["amount_nanos"] for line in _all(customer, **window)) == [61, 91, 121]


def test_another_accounts_lines_are_never_shown(books: Books) -> None:
    mine, other = _reader(books, credit=5), _reader(books, credit=7)
    assert [line["amount_nanos"] for line in _all(mine)] == [5]
    assert [line["amount_nanos"] for line in _all(other)] == [7]


def test_lines_written_before_they_had_balances_are_given_theirs(stack: LocalStack, tmp_path: Path) -> None:
    for file in MIGRATIONS_FOLDER.glob("*.sql"):
        if file.name < MIGRATION:
            shutil.copy(file, tmp_path)
    with own_database(stack) as url:
        apply_migrations(url, tmp_path)
        books = Books(url)
        try:
            customers = [make_customer(books, credit=amount) for amount in (100, 7)]
            for amount in (30, -50, 12, -5):
                for customer in customers:
                    customer.credit(amount, kind="refund" if amount < 0 else "purchase")
            for file in MIGRATIONS_FOLDER.glob("*.sql"):
                shutil.copy(file, tmp_path)
            apply_migrations(url, tmp_path)
            for customer in customers:
                _assert_running_balance(customer)
            with pytest.raises(psycopg.errors.RestrictViolation):
                books.rows("update gateway.transfers set balance_after_nanos = 0")
        finally:
            books.close()
