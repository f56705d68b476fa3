"""Changes that come again under their Idempotency-Key."""

import json
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer, hmac_of, make_customer
from tests.sql.races import answer_of_the_second

FIND = "select gateway.find_receipt(%s, %s)"
KEEP = "select gateway.keep_receipt(%s, %s, %s)"
COUNT = "select count(*) from gateway.receipts where account_id = %s"
READ_SEALED = "select sealed from gateway.receipts where account_id = %s"
RESULT = {"verdict": "created", "key_id": 7, "nothing": None}


def _receipt(**changes: object) -> dict[str, object]:
    receipt: dict[str, object] = {
        "key_hmacs": [hmac_of("key")],
        "body_hmacs": [hmac_of("body")],
        "route": "POST /keys",
        "sealed": "sealed secret",
    }
    return {**receipt, **changes}


def _find(customer: Customer, receipt: dict[str, object] | None) -> Any:
    return customer.books.value(FIND, customer.account_id, None if receipt is None else json.dumps(receipt))


def _keep(customer: Customer, receipt: dict[str, object] | None, result: dict[str, object] = RESULT) -> None:
    given = None if receipt is None else json.dumps(receipt)
    customer.books.rows(KEEP, customer.account_id, given, json.dumps(result))


def _sweep(books: Books) -> int:
    return int(books.call("erase_answers")["count"])


@pytest.fixture
def customer(books: Books) -> Customer:
    books.rows("delete from gateway.receipts")
    return make_customer(books)


def test_a_change_that_comes_again_is_answered_as_the_first_time(customer: Customer) -> None:
    assert _find(customer, _receipt()) is None
    _keep(customer, _receipt())
    again = {"is_replayed": True, "result": RESULT, "sealed": "sealed secret"}
    assert _find(customer, _receipt(sealed=None)) == again
    assert _find(customer, _receipt(sealed="made anew")) == again


@pytest.mark.parametrize("change", [{"body_hmacs": [hmac_of("other body")]}, {"route": "POST /keys/rotate"}])
def test_a_key_used_for_something_else_is_refused(customer: Customer, change: dict[str, object]) -> None:
    _keep(customer, _receipt())
    refused = _find(customer, _receipt(**change))
    assert (refused["status"], refused["code"]) == (409, "idempotency_key_reused")
    assert "sealed" not in json.dumps(refused)


def test_another_account_with_the_same_key_makes_its_own_change(customer: Customer) -> None:
    _keep(customer, _receipt())
    other = make_customer(customer.books)
    assert _find(other, _receipt()) is None
    _keep(other, _receipt(), {"key_id": 8})
    assert _find(customer, _receipt())["result"] == RESULT
    assert _find(other, _receipt())["result"] == {"key_id": 8}


def test_a_receipt_is_known_by_an_older_secret_of_ours(customer: Customer) -> None:
    _keep(customer, _receipt())
    newer = {"key_hmacs": [hmac_of("newer"), hmac_of("key")], "body_hmacs": [hmac_of("newer body"), hmac_of("body")]}
    assert _find(customer, _receipt(**newer))["is_replayed"] is True


def test_what_is_shown_once_is_shown_again_for_ten_minutes(books: Books, customer: Customer) -> None:
    _keep(customer, _receipt())
    books.pass_time(minutes=9, seconds=59.999999)
    assert _find(customer, _receipt())["sealed"] == "sealed secret"
    books.pass_time(microseconds=1)
    assert _find(customer, _receipt()) == {"is_replayed": True, "result": RESULT, "sealed": None}


def test_a_change_is_known_for_a_day_and_then_new(books: Books, customer: Customer) -> None:
    _keep(customer, _receipt())
    books.pass_time(hours=23, minutes=59, seconds=59.999999)
    assert _find(customer, _receipt())["result"] == RESULT
    books.pass_time(microseconds=1)
    assert _find(customer, _receipt()) is None
    _keep(customer, _receipt(key_hmacs=[hmac_of("newer"), hmac_of("key")]), {"key_id": 9})
    assert books.value(COUNT, customer.account_id) == 1
    assert _find(customer, _receipt(key_hmacs=[hmac_of("newer")]))["result"] == {"key_id": 9}


def test_a_sweep_erases_what_was_sealed_after_ten_minutes_and_the_receipt_after_a_day(
    books: Books, customer: Customer
) -> None:
    _keep(customer, _receipt())
    books.pass_time(minutes=9, seconds=59.999999)
    assert (_sweep(books), books.value(READ_SEALED, customer.account_id)) == (0, "sealed secret")
    books.pass_time(microseconds=1)
    assert (_sweep(books), books.value(READ_SEALED, customer.account_id)) == (1, None)
    assert (_sweep(books), books.value(COUNT, customer.account_id)) == (0, 1)
    books.pass_time(hours=23, minutes=50)
    assert (_sweep(books), books.value(COUNT, customer.account_id)) == (1, 0)
    assert _sweep(books) == 0


def test_a_sweep_erases_secrets_whose_overlap_is_over(books: Books, customer: Customer) -> None:
    books.rows(
        "update gateway.key_secrets set expires_at = %s + interval '1 hour' where key_id = %s",
        books.now(),
        customer.key_id,
    )
    assert _sweep(books) == 0
    books.pass_time(hours=1)
    assert _sweep(books) == 1
    assert books.value("select gateway.key_fingerprints(%s)", [customer.key_id]) == []


def test_a_sweep_passes_over_a_receipt_that_is_in_use(books: Books, customer: Customer) -> None:
    _keep(customer, _receipt())
    books.pass_time(hours=24)
    with psycopg.connect(books.url) as other:
        other.execute("select from gateway.receipts where account_id = %s for update", (customer.account_id,))
        assert _sweep(books) == 0
    assert _sweep(books) == 1


def test_a_sweep_stops_at_its_limit(books: Books, customer: Customer) -> None:
    for name in ("a", "b", "c"):
        _keep(customer, _receipt(key_hmacs=[hmac_of(name)], sealed=None))
    books.pass_time(hours=24)
    assert [books.call("erase_answers", limit=2)["count"] for _ in range(3)] == [2, 1, 0]


@pytest.mark.parametrize("nothing", ["sql null", "json null"])
def test_a_change_without_a_key_is_always_new(customer: Customer, nothing: str) -> None:
    given = None if nothing == "sql null" else "null"
    for _ in range(2):
        assert customer.books.value(FIND, customer.account_id, given) is None
        customer.books.rows(KEEP, customer.account_id, given, "{}")
    assert customer.books.value(COUNT, customer.account_id) == 0


@pytest.mark.parametrize(
    "broken",
    [
        {"key_hmacs": []},
        {"key_hmacs": [None]},
        {"key_hmacs": None},
        {"body_hmacs": []},
        {"body_hmacs": None},
        {"route": None},
    ],
)
def test_a_receipt_that_would_be_known_by_nothing_is_our_own_mistake(
    customer: Customer, broken: dict[str, object]
) -> None:
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        _find(customer, _receipt(**broken))
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        _keep(customer, _receipt(**broken))


def test_of_two_at_once_the_second_is_answered_with_what_the_first_has_done(books: Books, customer: Customer) -> None:
    arguments = (customer.account_id, json.dumps(_receipt()))

    def make(session: psycopg.Connection) -> Any:
        ((found,),) = session.execute(FIND.encode(), arguments).fetchall()
        if found is None:
            session.execute(KEEP.encode(), (*arguments, json.dumps(RESULT)))
        return found

    second = answer_of_the_second(books, make, make)
    assert second == {"is_replayed": True, "result": RESULT, "sealed": "sealed secret"}
    assert books.value(COUNT, customer.account_id) == 1


def test_of_two_at_once_the_second_goes_on_where_the_first_has_changed_nothing(
    books: Books, customer: Customer
) -> None:
    arguments = (customer.account_id, json.dumps(_receipt()))

    def find(session: psycopg.Connection) -> Any:
        return session.execute(FIND.encode(), arguments).fetchall()

    assert answer_of_the_second(books, find, find) == [(None,)]
