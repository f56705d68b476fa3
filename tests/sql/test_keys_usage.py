"""What each key was charged for, over closed days and the one under way, and under which secrets the keys stand."""

from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer, hmac_of
from tests.sql.key_owners import MadeKey, begin_month, make_key, make_owner, reader, revoke, rotate, update


def spend(key: MadeKey, tokens: int) -> None:
    generation_id = key.owner.admitted(tokens=tokens, key_hmacs=[key.key_hmac])
    assert key.owner.settle(generation_id, tokens)["charged_nanos"] == tokens


def roll_up(books: Books) -> None:
    books.call("close_usage_days")
    while books.call("roll_up_usage")["count"]:
        pass
    assert books.value("select count(*) from gateway.usage_days") > 0


def usages(
    owner: Customer, days: int, *, limit: int = 100, after: int | None = None
) -> dict[int, tuple[int, int, int]]:
    """Return requests, tokens and nano-dollars by key."""
    answer = owner.books.call("read_key_usage", caller=reader(owner), days=days, limit=limit, after=after)
    return {
        each["key"]["id"]: (each["requests"], each["input_tokens"], each["spent_nanos"]) for each in answer["usages"]
    }


@pytest.mark.parametrize("is_rolled_up", [False, True])
def test_usage_counts_the_days_that_are_asked_about(books: Books, is_rolled_up: bool) -> None:
    begin_month(books)
    owner = make_owner(books)
    key, other, gone = make_key(owner), make_key(owner), make_key(owner)
    for tokens in (5, 7):
        spend(key, tokens)
        spend(gone, 90)
        books.pass_time(days=1)
    spend(other, 3)
    revoke(gone)
    if is_rolled_up:
        roll_up(books)
    unused = (0, 0, 0)
    assert usages(owner, 1) == {owner.key_id: unused, key.id: unused, other.id: (1, 3, 3)}
    assert usages(owner, 2) == {owner.key_id: unused, key.id: (1, 7, 7), other.id: (1, 3, 3)}
    assert usages(owner, 3) == {owner.key_id: unused, key.id: (2, 12, 12), other.id: (1, 3, 3)}
    assert usages(owner, 3, limit=1, after=owner.key_id) == {key.id: (2, 12, 12)}


@pytest.mark.parametrize("is_rolled_up", [False, True])
def test_another_spend_period_counts_closed_days_too(books: Books, is_rolled_up: bool) -> None:
    begin_month(books)
    key = make_key(make_owner(books), spend_limit_nanos=1000, spend_limit_period="day")
    for tokens in (40, 20, 1):
        spend(key, tokens)
        books.pass_time(days=1)
    if is_rolled_up:
        roll_up(books)
    assert update(key, spend_limit_period="total")["key"]["spent_nanos"] == 61
    assert update(key, spend_limit_period="day")["key"]["spent_nanos"] == 0


def test_keys_are_counted_by_the_secret_that_they_stand_under(books: Books) -> None:
    owner = make_owner(books)
    key = make_key(owner, rotate_every_days=7)
    before = _secrets(books)
    rotate(key, overlap_hours=1)
    after = _secrets(books)
    assert sum(each["keys"] for each in after.values()) == sum(each["keys"] for each in before.values()) + 1
    books.rows("select gateway.open_session(%s, %s)", owner.account_id, [hmac_of(f"session {owner.account_id}")])
    books.rows(
        "insert into gateway.remembered_people (gift, person_hmac, kind) values ('trial', decode(%s, 'hex'), 'email')",
        hmac_of(f"person {owner.account_id}"),
    )
    counted = _secrets(books)
    assert counted[hmac_of(f"session {owner.account_id}")[:8]]["sessions"] == 1
    assert counted[hmac_of(f"person {owner.account_id}")[:8]]["people"] == 1
    books.pass_time(days=7)
    due_at = next(due["rotates_at"] for due in books.call("due_rotations") if due["key_id"] == key.id)
    secret = {"key_hmac": hmac_of("scheduled"), "masked": "…", "sealed": "sealed", "secret_id": "0a0b0c0d"}
    books.call("rotate_due_key", key_id=key.id, due_at=due_at, secret=secret, overlap_hours=168)
    assert _secrets(books)["0a0b0c0d"]["pending"] == 1


def _secrets(books: Books) -> dict[str, Any]:
    return {each["secret_id"]: each for each in books.call("count_key_secrets")}


@pytest.mark.parametrize("change", [{"expires_in_days": 1}, {"is_active": False}])
def test_a_key_that_can_be_made_to_work_again_still_needs_its_secret_of_ours(
    books: Books, change: dict[str, Any]
) -> None:
    key = make_key(make_owner(books))
    name = key.key_hmac[:8]
    update(key, **change)
    books.pass_time(days=1)
    assert key.admit() == "invalid_api_key"
    assert _secrets(books)[name]["keys"] == 1
    update(key, is_active=True, expires_in_days=None)
    assert key.admit() == "admitted"
    revoke(key)
    assert name not in _secrets(books)
