"""What was given up is seen by admins, and tried again by the job that gave it up."""

import uuid
from typing import Any

import pytest

from tests.sql.admins import OPERATOR, as_admin, events_since, last_event
from tests.sql.books import Books
from tests.sql.gifts import make_person
from tests.sql.key_owners import make_owner, refusal

READ_EVENT = "select hints, tries, handled_at is null from gateway.stripe_events where id = %s"


def _add(books: Books, kind: str, subject: str, **payload: Any) -> int:
    letter = {"kind": kind, "subject": subject, "payload": payload, "reason": "gave up", "tries": 3}
    return int(books.call("add_dead_letter", **letter)["id"])


def _list(books: Books, *, limit: int = 50, before: int | None = None, **filter_: Any) -> list[int]:
    answer = books.call("list_dead_letters", admin=OPERATOR, filter=filter_, limit=limit, before=before)
    return [letter["id"] for letter in answer["letters"]]


def _retry(books: Books, letter_id: int, admin: dict[str, object] | None = None) -> Any:
    return books.call("retry_dead_letter", admin=admin or OPERATOR, letter_id=letter_id)


def test_letters_are_listed_newest_first_by_kind_and_by_whether_they_stand_open(own_ledger: Books) -> None:
    books = own_ledger
    first, second, third = (_add(books, kind, "s") for kind in ("payment", "mail", "subscription"))
    books.rows("update gateway.dead_letters set resolved_at = now() where id = %s", second)
    assert _list(books) == [third, second, first]
    assert _list(books, is_open=True) == [third, first]
    assert _list(books, is_open=False) == [second]
    assert _list(books, kind="payment") == [first]
    assert _list(books, limit=1, before=third) == [second]
    assert books.call("read_dead_letter", admin=OPERATOR, letter_id=first)["letter"]["reason"] == "gave up"


@pytest.mark.parametrize(
    ("kind", "subject", "event_id", "hint"),
    [
        ("payment", "pi_1", "retry_payment_pi_1", "payment:pi_1"),
        ("subscription", "sub_1", "retry_subscription_sub_1", "subscription:sub_1"),
        ("subscription", "sub_2:il_1", "retry_subscription_sub_2", "subscription:sub_2"),
        ("stripe_event", "evt_1", "evt_1", "payment:pi_9"),
    ],
)
def test_what_stripe_knows_is_looked_at_there_again(
    books: Books, kind: str, subject: str, event_id: str, hint: str
) -> None:
    letter_id, before = _add(books, kind, subject, type="x", hints=[hint]), last_event(books)
    if kind == "stripe_event":
        books.call("receive_event", id=subject, type="x", hints=[hint], created=1)
        books.rows("update gateway.stripe_events set handled_at = now(), tries = 400 where id = %s", subject)
    answer = _retry(books, letter_id)
    assert answer["letter"]["resolved_at"] is not None
    assert books.rows(READ_EVENT, event_id) == [([hint], 1, True)]
    unhandled = books.call("unhandled_events", limit=100, older_than_s=0)
    assert event_id in {event["id"] for event in unhandled}
    assert events_since(books, before) == [
        ("dead_letter_retried", None, None, str(letter_id), {"kind": kind, "subject": subject})
    ]
    assert refusal(_retry(books, letter_id)) == (409, "dead_letter_resolved", {})


def test_what_fails_again_stands_open_again_and_is_tried_again(books: Books) -> None:
    letter_id = _add(books, "payment", "pi_again")
    _retry(books, letter_id)
    books.call("finish_event", id="retry_payment_pi_again")
    assert _add(books, "payment", "pi_again") == letter_id
    assert _retry(books, letter_id)["letter"]["resolved_at"] is not None
    assert books.rows(READ_EVENT, "retry_payment_pi_again") == [(["payment:pi_again"], 1, True)]


def test_a_mail_that_was_given_up_is_due_as_if_it_were_new(books: Books) -> None:
    person = make_person(books)
    mail_id = books.value(
        "insert into gateway.outbox (account_id, template, dedupe_key, address, due_at, state, ended_at, tries,"
        " first_tried_at, created_at) values (%s, 'test', 'k', 'a@example.com', now(), 'dead', now(), 9, now(),"
        " now() - interval '9 days') returning id",
        person.account_id,
    )
    _retry(books, _add(books, "mail", str(mail_id)))
    taken = books.call("take_due_mails", limit=50, account_id=person.account_id)["mails"]
    assert str(mail_id) in [mail["id"] for mail in taken]


def test_what_cannot_be_tried_again_stays_open(books: Books) -> None:
    for kind, subject in (("mail", str(uuid.uuid4())), ("late_settlement", "0" * 64)):
        letter_id = _add(books, kind, subject, text="unreadable")
        assert refusal(_retry(books, letter_id)) == (409, "dead_letter_stays", {})
        assert letter_id in _list(books, is_open=True)
    assert refusal(_retry(books, 999_999)) == (404, "dead_letter_not_found", {})


def test_a_late_settlement_is_taken_for_resolved_when_it_stands_on_its_list_again(books: Books) -> None:
    letter_id = _add(books, "late_settlement", str(uuid.uuid4()), generation_id=str(uuid.uuid4()))
    assert _retry(books, letter_id)["letter"]["resolved_at"] is not None


def test_who_is_no_admin_sees_and_retries_none(books: Books) -> None:
    owner, letter_id = as_admin(make_owner(books)), _add(books, "payment", "pi_hidden")
    for answer in (
        _retry(books, letter_id, owner),
        books.call("list_dead_letters", admin=owner, filter={}, limit=5),
        books.call("read_dead_letter", admin=owner, letter_id=letter_id),
    ):
        assert refusal(answer) == (403, "admin_required", {})
    assert letter_id in _list(books, is_open=True)
