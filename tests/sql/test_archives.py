"""Closed months are handed out part by part, and count as copied only when what was read back is what the rows are."""

import gzip
import hashlib
import json
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.customers import make_customer

NOON = datetime(2031, 3, 15, 12, tzinfo=UTC)
LIMIT = 4
READ_MONTH = "select count(*), sum(amount_nanos) from gateway.transfers where created_at >= %s and created_at < %s"


@pytest.fixture
def ledger(books: Books) -> Books:
    """The books with all that was before copied, in the middle of the next March."""
    year = max(books.now().year, NOON.year) + 1
    books.set_time(NOON.replace(year=year))
    _copy_all(books)
    return books


def _next(books: Books, limit: int = LIMIT) -> Any:
    return books.call("read_archive_part", limit=limit)


def _stored(part: Any, lines: str | None = None) -> dict[str, object]:
    text = (part["lines"] if lines is None else lines).encode()
    key = f"{part['kind']}/{part['month']}/{part['part']}"
    return {"key": key, "sha256": hashlib.sha256(text).hexdigest(), "size_bytes": len(gzip.compress(text))}


def _note(books: Books, part: Any, stored: dict[str, object] | None = None, limit: int = LIMIT) -> str:
    named = {name: part[name] for name in ("kind", "month", "part")}
    return str(books.call("note_archive_part", **named, limit=limit, object=stored or _stored(part))["verdict"])


def _copy_all(books: Books) -> list[Any]:
    """Copy what there is to copy, and return the parts."""
    parts: list[Any] = []
    for _ in range(1_000):
        part = _next(books)
        if part["verdict"] == "archived":
            return parts
        assert _note(books, part) == "noted"
        parts.append(part)
    raise AssertionError("there is no end of parts")


def _lines(parts: list[Any], kind: str, month: str) -> list[dict[str, Any]]:
    return [
        json.loads(line)
        for part in parts
        if (part["kind"], part["month"]) == (kind, month)
        for line in part["lines"].splitlines()
    ]


def _spend(books: Books, requests: int) -> None:
    customer = make_customer(books, credit=10_000)
    for _ in range(requests):
        customer.settle(customer.admitted(tokens=100), 70)


def test_every_row_of_a_closed_month_is_in_one_part_and_no_other_row_is(ledger: Books) -> None:
    month = ledger.now()
    _spend(ledger, 6)
    ledger.set_time(month.replace(month=4, day=1, hour=0, minute=0))
    _spend(ledger, 1)
    assert _next(ledger)["verdict"] == "archived"
    ledger.set_time(month.replace(month=4, day=2))
    parts, name = _copy_all(ledger), f"{month:%Y-%m}"
    for kind, identity in (("ledger", "id"), ("usage", "generation_id")):
        numbers = [part["part"] for part in parts if (part["kind"], part["month"]) == (kind, name)]
        assert numbers == list(range(1, len(numbers) + 1))
        assert len(numbers) > 1
        seen = Counter(line[identity] for line in _lines(parts, kind, name))
        assert set(seen.values()) == {1}
    transfers, usage = _lines(parts, "ledger", name), _lines(parts, "usage", name)
    assert len(usage) == 6
    ends = (month.replace(day=1, hour=0), month.replace(month=4, day=1, hour=0))
    assert (len(transfers), sum(line["amount_nanos"] for line in transfers)) == ledger.rows(READ_MONTH, *ends)[0]
    assert {line["created_at"][:7] for line in transfers + usage} == {name}
    assert _next(ledger)["verdict"] == "archived"
    assert ledger.broken_rules() == []


def test_a_month_is_closed_a_day_after_its_end(ledger: Books) -> None:
    _spend(ledger, 1)
    end = ledger.now().replace(month=4, day=1, hour=23, minute=59)
    ledger.set_time(end)
    assert _next(ledger)["verdict"] == "archived"
    ledger.set_time(end.replace(day=2, hour=0, minute=1))
    assert _next(ledger)["month"] == f"{end.year}-03"


def test_a_part_comes_again_until_what_was_read_back_is_what_it_is(ledger: Books) -> None:
    _spend(ledger, 3)
    ledger.pass_time(days=30)
    first = _next(ledger)
    assert first == _next(ledger)
    assert first["rows"] == len(first["lines"].splitlines()) == LIMIT
    for other in (first["lines"][:-1], first["lines"].replace("1", "2", 1), "", first["lines"] * 2):
        assert _note(ledger, first, _stored(first, other)) == "differs"
    assert _next(ledger) == first
    assert _note(ledger, first) == "noted"
    assert _next(ledger)["part"] == first["part"] + 1


def test_a_part_that_two_have_copied_is_noted_once_and_both_go_on(ledger: Books) -> None:
    _spend(ledger, 3)
    ledger.pass_time(days=30)
    first = _next(ledger)
    assert [_note(ledger, first) for _ in range(2)] == ["noted", "noted"]
    assert _note(ledger, first, _stored(first, "something else")) == "differs"
    assert _note(ledger, {**first, "part": first["part"] + 7}) == "differs"


def test_months_without_a_row_are_empty_parts_so_that_none_is_missing(ledger: Books) -> None:
    _spend(ledger, 1)
    began = ledger.now()
    ledger.set_time(began.replace(month=8))
    parts = _copy_all(ledger)
    months = [part["month"] for part in parts if part["kind"] == "usage"]
    assert months == [f"{began.year}-{month:02d}" for month in range(3, 8)]
    assert [part["rows"] for part in parts if part["kind"] == "usage"] == [1, 0, 0, 0, 0]


def test_what_was_written_into_a_month_after_its_parts_keeps_it_from_being_closed(ledger: Books) -> None:
    _spend(ledger, 3)
    month = ledger.now()
    ledger.pass_time(days=30)
    first = _next(ledger)
    assert _note(ledger, first) == "noted"
    late = "update gateway.transfers set created_at = %s where id = (select max(id) from gateway.transfers)"
    ledger.rows("alter table gateway.transfers disable trigger transfers_append_only")
    ledger.rows(late, month.replace(day=1))
    ledger.rows("alter table gateway.transfers enable trigger transfers_append_only")
    with pytest.raises(psycopg.errors.DataCorrupted):
        _copy_all(ledger)
    # It is copied anew, once somebody has looked.
    ledger.rows("delete from gateway.archive_parts where kind = 'ledger' and month = %s", month.date().replace(day=1))
    assert max(line["id"] for line in _lines(_copy_all(ledger), "ledger", first["month"])) > 0
