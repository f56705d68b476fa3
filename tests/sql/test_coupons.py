"""Coupons: what a code gives, to whom, how often, and what is refused."""

from collections import Counter
from datetime import timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer
from tests.sql.gifts import (
    ask,
    delete_account,
    gifts,
    known_person,
    make_coupon,
    make_person,
    outcome,
    reader,
    redeeming,
)
from tests.sql.key_owners import make_owner, receipt_of, refusal

READ_COUNT = "select redemptions from gateway.coupons where code = %s"
COUNT_REMEMBERED = "select count(*) from gateway.remembered_people where gift = %s"
READ_EVENTS = """
    select event, subject, details from gateway.audit_log where account_id = %s and event like 'coupon%%'
"""


def _history(owner: Customer, **asked: Any) -> Any:
    answer = owner.books.call("list_redemptions", caller=reader(owner), **{"limit": 100, **asked})
    assert answer["verdict"] == "redemptions", answer
    return answer["redemptions"]


def test_a_coupon_gives_what_it_stands_for_and_says_so_later(books: Books) -> None:
    owner, code = make_person(books), make_coupon(books, amount_nanos=5_000)
    answer = ask(books, redeeming(owner, code))
    assert (answer["redemption"]["code"], answer["redemption"]["amount_nanos"]) == (code, 5_000)
    assert gifts(owner) == [("promo", code, 5_000, 5_000, None)]
    assert owner.balance()["available_nanos"] == 15_000
    assert _history(owner) == [answer["redemption"]]
    assert books.rows(READ_EVENTS, owner.account_id) == [("coupon_redeemed", code, {"amount_nanos": 5_000})]
    assert books.value(READ_COUNT, code) == 1
    assert books.broken_rules(owner.account_id) == []


def test_the_credit_of_a_coupon_ends_after_its_days(books: Books) -> None:
    owner, code = make_person(books), make_coupon(books, amount_nanos=5_000, credit_days=30)
    ask(books, redeeming(owner, code))
    assert gifts(owner)[0][4] == books.now() + timedelta(days=30)
    books.pass_time(days=30)
    assert owner.balance()["available_nanos"] == 10_000


def test_a_code_is_the_same_however_its_letters_are_written(books: Books) -> None:
    owner, code = make_person(books), make_coupon(books, code="welcome-2030")
    assert ask(books, redeeming(owner, "Welcome-2030"))["redemption"]["code"] == code
    assert outcome(ask(books, redeeming(owner, "WELCOME-2030"))) == "coupon_already_redeemed"
    assert len(gifts(owner)) == 1


@pytest.mark.parametrize("code", ["", "nobodys", "a' or true --", "%", "x" * 500, "é"])
def test_a_code_that_is_no_coupon_is_unknown(books: Books, code: str) -> None:
    owner = make_person(books)
    assert refusal(ask(books, redeeming(owner, code))) == (404, "unknown_coupon", {})


def test_what_is_not_yet_or_no_more_to_be_had_is_refused_and_counts_nothing(books: Books) -> None:
    at, day = books.now(), timedelta(days=1)
    owner = make_person(books)
    cases: dict[str, tuple[int, list[dict[str, Any]]]] = {
        "unknown_coupon": (404, [{"is_active": False}, {"live_from": at + day}]),
        "coupon_expired": (409, [{"expires_at": at}, {"live_from": at - 2 * day, "expires_at": at - day}]),
    }
    for code_of_refusal, (status, coupons) in cases.items():
        for columns in coupons:
            code = make_coupon(books, **columns)
            assert refusal(ask(books, redeeming(owner, code))) == (status, code_of_refusal, {})
            assert books.value(READ_COUNT, code) == 0
            assert books.value(COUNT_REMEMBERED, f"coupon:{code}") == 0
    assert gifts(owner) == []


def test_a_coupon_is_redeemed_in_the_moment_it_begins_and_not_in_the_one_it_ends(books: Books) -> None:
    at, day = books.now(), timedelta(days=1)
    code = make_coupon(books, live_from=at, expires_at=at + day)
    assert outcome(ask(books, redeeming(make_person(books), code))) == "redemption"
    books.set_time(at + day - timedelta(microseconds=1))
    assert outcome(ask(books, redeeming(make_person(books), code))) == "redemption"
    books.set_time(at + day)
    assert outcome(ask(books, redeeming(make_person(books), code))) == "coupon_expired"


def test_a_coupon_is_used_up_after_so_many(books: Books) -> None:
    code = make_coupon(books, max_redemptions=2)
    people = [make_person(books) for _ in range(3)]
    outcomes = [outcome(ask(books, redeeming(person, code))) for person in people]
    assert outcomes == ["redemption", "redemption", "coupon_used_up"]
    # Who has redeemed it is told that, and not that others have.
    assert outcome(ask(books, redeeming(people[0], code))) == "coupon_already_redeemed"
    books.rows("update gateway.coupons set max_redemptions = 3 where code = %s", code)
    assert outcome(ask(books, redeeming(people[2], code))) == "redemption"


def test_a_person_redeems_once_whatever_account_he_has(books: Books) -> None:
    code = make_coupon(books)
    first = make_person(books, privy_id="did:privy:collector", mailbox="collector@example.com")
    assert outcome(ask(books, redeeming(first, code))) == "redemption"
    second = make_person(books, mailbox="collector@example.com")
    assert refusal(ask(books, redeeming(second, code))) == (409, "coupon_already_redeemed", {})
    delete_account(first)
    third = make_person(books, privy_id="did:privy:collector")
    assert outcome(ask(books, redeeming(third, code))) == "coupon_already_redeemed"
    assert books.value(READ_COUNT, code) == 1
    other = make_coupon(books)
    assert outcome(ask(books, redeeming(third, other))) == "redemption"


def test_an_account_that_nobody_signed_in_to_redeems_once_too(books: Books) -> None:
    owner, code = make_owner(books), make_coupon(books)
    assert [outcome(ask(books, redeeming(owner, code))) for _ in range(2)] == ["redemption", "coupon_already_redeemed"]


def test_a_coupon_and_a_trial_are_different_gifts(books: Books) -> None:
    owner, codes = make_person(books), [make_coupon(books) for _ in range(2)]
    calls = [("start_trial", {**redeeming(owner, "")[1]}), *(redeeming(owner, code) for code in codes)]
    del calls[0][1]["code"]
    assert [outcome(ask(books, call)) for call in calls] == ["trial", "redemption", "redemption"]
    assert Counter(kind for kind, *_ in gifts(owner)) == {"trial": 1, "promo": 2}


def test_the_same_request_again_is_answered_as_the_first_time(books: Books) -> None:
    owner, code = make_person(books), make_coupon(books)
    call = redeeming(owner, code, receipt=receipt_of("redeem"))
    first, again = ask(books, call), ask(books, call)
    assert (first["is_replayed"], again["is_replayed"]) == (False, True)
    assert first["redemption"] == again["redemption"]
    other = redeeming(owner, make_coupon(books), receipt=receipt_of("redeem", "other body"))
    assert outcome(ask(books, other)) == "idempotency_key_reused"
    assert len(gifts(owner)) == 1


def test_an_address_that_changed_meanwhile_gives_nothing_yet(books: Books) -> None:
    owner, code = make_person(books), make_coupon(books)
    person = {**known_person(owner), "email_normalised": "before@example.com"}
    assert outcome(ask(books, redeeming(owner, code, person=person))) == "person_changed"
    assert (gifts(owner), books.value(READ_COUNT, code)) == ([], 0)


@pytest.mark.parametrize(
    ("change", "code"),
    [("status = 'suspended'", "account_suspended"), ("dispute_status = 'open'", "payment_disputed")],
)
def test_who_may_only_look_and_pay_is_given_nothing(books: Books, change: str, code: str) -> None:
    owner = make_person(books)
    books.rows(f"update gateway.accounts set {change} where id = %s", owner.account_id)
    assert refusal(ask(books, redeeming(owner, make_coupon(books))))[:2] == (403, code)
    assert (gifts(owner), _history(owner)) == ([], [])


def test_a_key_without_the_scope_redeems_and_sees_nothing(books: Books) -> None:
    owner, code = make_person(books), make_coupon(books)
    owner.set_key(scopes=["inference", "account:write"])
    assert refusal(ask(books, redeeming(owner, code)))[:2] == (403, "missing_scope")
    answer = books.call("list_redemptions", caller=reader(owner), limit=10)
    assert refusal(answer) == (403, "missing_scope", {"scope": "billing:read"})


def test_the_history_is_the_accounts_own_newest_first_a_page_at_a_time(books: Books) -> None:
    owner, other = make_person(books), make_person(books)
    codes = [make_coupon(books) for _ in range(5)]
    for code in codes:
        ask(books, redeeming(other, code))
        ask(books, redeeming(owner, code))
    pages, before = [], None
    for _ in range(3):
        page = _history(owner, limit=2, before=before)
        pages.append([redemption["code"] for redemption in page])
        before = page[-1]["id"]
    assert pages == [codes[:2:-1], codes[2:0:-1], codes[:1]]
    assert _history(owner, limit=2, before=before) == []


@pytest.mark.parametrize(
    "columns",
    [
        {"code": "Upper"},
        {"code": "x"},
        {"amount_nanos": 0},
        {"amount_nanos": 10**13 + 1},
        {"max_redemptions": 0},
        {"credit_days": 0},
    ],
)
def test_a_coupon_that_makes_no_sense_cannot_be_made(books: Books, columns: dict[str, Any]) -> None:
    with pytest.raises(psycopg.errors.CheckViolation):
        make_coupon(books, **columns)
