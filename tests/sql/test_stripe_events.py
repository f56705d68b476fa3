"""The inbox of Stripe's events: what was not handled is found again, and one that always fails stops no other."""

import itertools

from tests.sql.books import Books

_numbers = itertools.count(1)


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


def test_one_that_always_fails_holds_up_no_other(books: Books) -> None:
    stuck = [_receive(books) for _ in range(2)]
    books.pass_time(seconds=60)
    for _ in range(3):
        assert sorted(_unhandled(books, 2)) == stuck
    later = _receive(books)
    books.pass_time(seconds=60)
    assert later in _unhandled(books, 2)
    for event_id in (*stuck, later):
        books.call("finish_event", id=event_id)


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
