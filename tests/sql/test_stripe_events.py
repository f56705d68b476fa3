"""The inbox of Stripe's events: what was not handled is found again, and one that always fails stops no other."""

import itertools

from tests.sql.books import Books

_numbers = itertools.count(1)

READ_LETTERS = "select reason, tries, payload from gateway.dead_letters where kind = 'stripe_event' and subject = %s"


def _receive(books: Books, event_id: str | None = None) -> str:
    event_id = event_id or f"evt_{next(_numbers)}"
    told = {"type": "charge.refunded", "hints": ["payment:pi_1"], "created": 1_700_000_000 + next(_numbers)}
    assert books.call("receive_event", id=event_id, **told)["is_handled"] is False
    return event_id


def _unhandled(books: Books, limit: int = 100) -> list[str]:
    return [event["id"] for event in books.call("unhandled_events", limit=limit, older_than_s=60)]


def test_an_event_that_was_not_handled_is_found_a_minute_later_until_it_is(books: Books) -> None:
    event_id = _receive(books)
    assert _unhandled(books) == []
    books.pass_time(seconds=60)
    assert _unhandled(books) == [event_id]
    assert books.call("fail_event", id=event_id, error="x" * 1000) == {"count": 1}
    assert _unhandled(books) == [event_id]
    assert books.call("finish_event", id=event_id) == {"count": 1}
    assert _unhandled(books) == []
    assert books.call("fail_event", id=event_id, error="too late") == {"count": 0}
    assert books.rows("select last_error from gateway.stripe_events where id = %s", event_id) == [(None,)]


def _try(books: Books, event_id: str) -> None:
    assert books.call("try_event", id=event_id) == {"count": 1}


def test_those_that_always_fail_hold_up_no_other(books: Books) -> None:
    stuck = [_receive(books) for _ in range(2)]
    books.pass_time(seconds=60)
    for _ in range(3):
        assert sorted(_unhandled(books, 2)) == stuck
        for event_id in stuck:
            _try(books, event_id)
    later = _receive(books)
    books.pass_time(seconds=60)
    # First, though it came last; looking counts no try.
    for _ in range(2):
        assert _unhandled(books)[0] == later
    for event_id in (*stuck, later):
        books.call("finish_event", id=event_id)


def test_one_that_has_failed_for_eight_days_is_for_a_person_and_tried_no_more(books: Books) -> None:
    event_id = _receive(books)
    books.pass_time(days=7)
    books.call("fail_event", id=event_id, error="payments_refused")
    assert books.rows(READ_LETTERS, event_id) == []
    _try(books, event_id)
    books.pass_time(days=1)
    assert event_id in _unhandled(books)
    books.call("fail_event", id=event_id, error="payments_refused")
    assert event_id not in _unhandled(books)
    payload = {"type": "charge.refunded", "hints": ["payment:pi_1"]}
    assert books.rows(READ_LETTERS, event_id) == [("payments_refused", 2, payload)]
    assert books.call("try_event", id=event_id) == {"count": 0}


def test_nothing_of_what_an_event_says_is_kept_and_it_goes_after_a_month(books: Books) -> None:
    kept, gone = _receive(books), _receive(books)
    books.call("finish_event", id=gone)
    books.pass_time(days=31)
    assert books.call("erase_events")["count"] >= 1
    assert [event_id for (event_id,) in books.rows("select id from gateway.stripe_events")] == [kept]
    columns = "select column_name from information_schema.columns where table_name = 'stripe_events' order by 1"
    assert [name for (name,) in books.rows(columns)] == [
        "created_at", "created_at_stripe", "handled_at", "hints", "id", "last_error", "received_at", "tries", "type",
    ]  # fmt: skip
