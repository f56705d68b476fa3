"""Coupons as admins make, see and change them."""

from typing import Any

import psycopg
import pytest

from tests.sql.admins import OPERATOR, as_admin, events_since, last_event, make_admin
from tests.sql.books import Books
from tests.sql.gifts import ask, make_person, outcome, redeeming
from tests.sql.key_owners import make_owner, receipt_of, refusal


def _make(books: Books, code: str, admin: dict[str, object] | None = None, receipt: Any = None, **other: Any) -> Any:
    coupon = {"code": code, "amount_nanos": 700, "max_redemptions": 2, **other}
    return books.call("create_coupon", admin=admin or OPERATOR, coupon=coupon, receipt=receipt)


def _change(books: Books, code: str, **changes: Any) -> Any:
    return books.call("update_coupon", admin=OPERATOR, code=code, changes=changes)


def test_a_coupon_that_was_made_is_redeemed_as_often_as_it_was_made_for(books: Books) -> None:
    admin, before = make_admin(books), last_event(books)
    made = _make(books, "SPRING-24", as_admin(admin), credit_days=30)["coupon"]
    assert {name: made[name] for name in ("code", "amount_nanos", "redemptions", "is_active", "credit_days")} == {
        "code": "spring-24", "amount_nanos": 700, "redemptions": 0, "is_active": True, "credit_days": 30,
    }  # fmt: skip
    people = [make_person(books) for _ in range(3)]
    outcomes = [outcome(ask(books, redeeming(person, "Spring-24"))) for person in people]
    assert outcomes == ["redemption", "redemption", "coupon_used_up"]
    assert events_since(books, before) == [
        ("coupon_created", None, admin.key_id, "spring-24", {"amount_nanos": 700, "max_redemptions": 2})
    ]


def test_a_code_is_made_once_and_a_repeated_request_makes_it_once(books: Books) -> None:
    call: dict[str, Any] = {"receipt": receipt_of("coupon")}
    assert _make(books, "once", **call)["verdict"] == "coupon"
    assert _make(books, "once", **call)["is_replayed"] is True
    assert refusal(_make(books, "ONCE")) == (409, "coupon_exists", {"code": "once"})


def test_coupons_are_listed_a_page_at_a_time(own_ledger: Books) -> None:
    for code in ("ccc", "aaa", "bbb"):
        _make(own_ledger, code)
    pages = [
        own_ledger.call("list_coupons", admin=OPERATOR, limit=2, after=after)["coupons"] for after in (None, "bbb")
    ]
    assert [[coupon["code"] for coupon in page] for page in pages] == [["aaa", "bbb"], ["ccc"]]


def test_a_coupon_is_switched_off_and_on_and_for_more_people(books: Books) -> None:
    _make(books, "switched", max_redemptions=1)
    _change(books, "switched", is_active=False)
    assert outcome(ask(books, redeeming(make_person(books), "switched"))) == "unknown_coupon"
    before = last_event(books)
    for _ in range(2):
        assert _change(books, "SWITCHED", is_active=True, max_redemptions=2)["coupon"]["max_redemptions"] == 2
    assert [event for event, *_ in events_since(books, before)] == ["coupon_updated"]
    outcomes = [outcome(ask(books, redeeming(make_person(books), "switched"))) for _ in range(3)]
    assert outcomes == ["redemption", "redemption", "coupon_used_up"]


def test_a_coupon_is_not_made_to_have_been_redeemed_too_often_or_to_be_never_live(books: Books) -> None:
    _make(books, "bounded")
    for _ in range(2):
        ask(books, redeeming(make_person(books), "bounded"))
    assert refusal(_change(books, "bounded", max_redemptions=1)) == (409, "coupon_redeemed_more", {"redemptions": 2})
    never = {"live_from": "2031-01-02T00:00:00Z", "expires_at": "2031-01-01T00:00:00Z"}
    assert refusal(_change(books, "bounded", **never)) == (400, "coupon_never_live", {})
    assert refusal(_change(books, "no-such", is_active=False)) == (404, "coupon_not_found", {})


def test_what_a_coupon_gives_never_changes(books: Books) -> None:
    _make(books, "fixed")
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        _change(books, "fixed", amount_nanos=7)


def test_who_is_no_admin_makes_and_sees_none(books: Books) -> None:
    owner = as_admin(make_owner(books))
    assert refusal(_make(books, "mine", owner)) == (403, "admin_required", {})
    assert refusal(books.call("list_coupons", admin=owner, limit=5)) == (403, "admin_required", {})
    assert refusal(books.call("update_coupon", admin=owner, code="mine", changes={})) == (403, "admin_required", {})
