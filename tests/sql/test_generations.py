"""What the ledger tells of a request, to its own account alone, and what it erases."""

import uuid
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.customers import Customer, caller_of, hmac_of, make_customer

READERS = ["read_generation", "erase_answer"]
CLAIM = {"key_hmacs": [hmac_of("key")], "body_hmacs": [hmac_of("body")], "is_retry": False, "lifetime_s": 86_400}
KEPT = "select answer, is_erased from gateway.replays where generation_id = %s"


def call(customer: Customer, function: str, generation_id: uuid.UUID, **other: object) -> Any:
    return customer.books.call(function, caller=customer.caller(**other), generation_id=generation_id)


@pytest.mark.parametrize("function", READERS)
def test_another_accounts_request_is_refused_as_one_that_never_was(books: Books, function: str) -> None:
    owner, other = make_customer(books, credit=100), make_customer(books, credit=100)
    generation_id = owner.admitted(tokens=10, claim=Jsonb(CLAIM))
    owner.settle(generation_id, 7, answer="sealed")
    foreign, unknown = call(other, function, generation_id), call(other, function, uuid.uuid4())
    assert foreign == unknown
    assert (foreign["verdict"], foreign["status"], foreign["code"]) == ("refused", 404, "generation_not_found")
    assert foreign["policy"]["account_id"] == other.account_id
    assert books.rows(KEPT, generation_id) == [("sealed", False)]
    assert call(owner, function, generation_id)["verdict"] in ("generation", "erased")


@pytest.mark.parametrize("function", READERS)
@pytest.mark.parametrize(
    ("column", "value", "status", "code"),
    [
        ("is_active", False, 401, "invalid_api_key"),
        ("expires_at", "2000-01-01", 401, "invalid_api_key"),
        ("scopes", ["models:read"], 403, "missing_scope"),
        ("ip_allowlist", ["203.0.113.7/32"], 403, "address_not_allowed"),
        ("allowed_domains", ["app.example"], 403, "domain_not_allowed"),
    ],
)
def test_a_key_that_may_not_be_used_so_is_refused(
    *, books: Books, function: str, column: str, value: object, status: int, code: str
) -> None:
    customer = make_customer(books, credit=100)
    generation_id = customer.admitted(tokens=10, claim=Jsonb(CLAIM))
    customer.settle(generation_id, 7, answer="sealed")
    customer.set_key(**{column: value})
    refused = call(customer, function, generation_id, address="198.51.100.9", origin_host="other.example")
    assert (refused["verdict"], refused["status"], refused["code"]) == ("refused", status, code)
    assert ("policy" in refused) == (status == 403)
    assert books.rows(KEPT, generation_id) == [("sealed", False)]


@pytest.mark.parametrize("function", READERS)
def test_a_key_that_nobody_has_is_refused_without_a_policy(books: Books, function: str) -> None:
    refused = books.call(function, caller=caller_of(hmac_of("nobody")), generation_id=uuid.uuid4())
    assert (refused["status"], refused["code"], "policy" in refused) == (401, "invalid_api_key", False)


def test_a_key_is_found_by_any_of_its_secrets_and_of_any_model(books: Books) -> None:
    customer = make_customer(books, credit=100)
    generation_id = customer.admitted(tokens=10)
    customer.set_key(model_globs=["other/*"], max_requests=1)
    told = call(customer, "read_generation", generation_id, key_hmacs=[hmac_of("newer"), customer.key_hmac])
    assert (told["verdict"], told["id"]) == ("generation", str(generation_id))


def test_what_the_balance_could_not_pay_is_told_and_every_unit_has_a_number(books: Books) -> None:
    customer = make_customer(books, credit=100)
    generation_id = customer.admitted(tokens=100)
    customer.settle(generation_id, 150)
    bill = call(customer, "read_generation", generation_id)["bill"]
    assert (bill["cost_nanos"], bill["charged_nanos"], bill["shortfall_nanos"]) == (150, 100, 50)
    units = {"input_tokens", "cached_input_tokens", "cache_write_tokens", "output_tokens", "images", "requests"}
    assert set(bill["rates"]) == set(bill["quantities"]) == units
    assert bill["quantities"] == dict.fromkeys(units, 0) | {"input_tokens": 150}
    assert {name for name in bill if "provider_cost" in name or "excess" in name or "list" in name} == set()


def test_a_hold_whose_time_is_over_is_told_as_expired_before_anybody_wrote_it_down(books: Books) -> None:
    customer = make_customer(books, credit=100)
    generation_id = customer.admitted(tokens=10, lifetime_s=60)
    assert call(customer, "read_generation", generation_id)["hold"]["state"] == "held"
    books.pass_time(seconds=60)
    told = call(customer, "read_generation", generation_id)
    assert (told["hold"]["state"], told["bill"]) == ("expired", None)
    assert books.value("select state from gateway.holds where id = %s", generation_id) == "held"


def test_an_answer_erased_before_its_settlement_is_not_kept_and_the_bill_is(books: Books) -> None:
    customer = make_customer(books, credit=100)
    generation_id = customer.admitted(tokens=10, claim=Jsonb(CLAIM))
    for _ in range(2):
        assert call(customer, "erase_answer", generation_id)["verdict"] == "erased"
    assert customer.settle(generation_id, 7, answer="sealed")["charged_nanos"] == 7
    assert books.rows(KEPT, generation_id) == [(None, True)]
    again = customer.admit(tokens=10, claim=Jsonb(CLAIM))
    assert (again["verdict"], again["code"]) == ("refused", "answer_not_stored")
    assert books.broken_rules(customer.account_id) == []


def test_a_kept_answer_is_told_with_its_end_until_then(books: Books) -> None:
    customer = make_customer(books, credit=100)
    generation_id = customer.admitted(tokens=10, claim=Jsonb(CLAIM))
    customer.settle(generation_id, 7, answer="sealed")
    assert customer.admit(tokens=10, claim=Jsonb(CLAIM))["verdict"] == "replay"
    assert call(customer, "read_generation", generation_id)["kept_answer"]["replays"] == 1
    books.pass_time(hours=24)
    assert call(customer, "read_generation", generation_id)["kept_answer"] is None
