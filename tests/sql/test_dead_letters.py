"""What was given up stands until someone looks at it, once however often it comes."""

from typing import Any

import psycopg
import pytest

from tests.sql.books import Books

LETTER: dict[str, object] = {
    "kind": "late_settlement",
    "subject": "one",
    "payload": {"tokens": 7},
    "reason": "hold_voided",
    "tries": 3,
}
RESOLVE = "update gateway.dead_letters set resolved_at = now() where subject = %s"


def _add(books: Books, **changes: object) -> Any:
    return books.call("add_dead_letter", **{**LETTER, **changes})["id"]


def _read(books: Books, **arguments: object) -> Any:
    return books.call("read_dead_letters", **arguments)


def test_a_record_that_was_given_up_is_read_as_it_was(own_ledger: Books) -> None:
    assert _read(own_ledger) == []
    letter_id = _add(own_ledger)
    (letter,) = _read(own_ledger)
    assert letter.pop("created_at")
    assert letter == {"id": letter_id, **LETTER, "resolved_at": None}


def test_the_same_record_again_keeps_its_row_and_takes_the_new_reason(own_ledger: Books) -> None:
    letter_id = _add(own_ledger)
    assert _add(own_ledger, reason="unknown_hold", tries=9, payload={"tokens": 8}) == letter_id
    (letter,) = _read(own_ledger)
    assert (letter["reason"], letter["tries"], letter["payload"]) == ("unknown_hold", 9, {"tokens": 7})


def test_a_record_that_fails_again_after_it_was_resolved_stands_open_again(own_ledger: Books) -> None:
    letter_id = _add(own_ledger)
    own_ledger.rows(RESOLVE, "one")
    assert _add(own_ledger) == letter_id
    assert [letter["resolved_at"] for letter in _read(own_ledger)] == [None]


def test_open_records_come_first_and_oldest_first_up_to_the_limit(own_ledger: Books) -> None:
    for subject in ("one", "two", "three"):
        _add(own_ledger, subject=subject)
    own_ledger.rows(RESOLVE, "one")
    assert [letter["subject"] for letter in _read(own_ledger)] == ["two", "three", "one"]
    assert [letter["subject"] for letter in _read(own_ledger, limit=1)] == ["two"]


@pytest.mark.parametrize("change", [{"kind": "rumour"}, {"tries": -1}, {"reason": None}, {"payload": None}])
def test_a_record_that_says_nothing_is_not_kept(own_ledger: Books, change: dict[str, object]) -> None:
    with pytest.raises(psycopg.errors.IntegrityError):
        _add(own_ledger, **change)
    assert _read(own_ledger) == []
