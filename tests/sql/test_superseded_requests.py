"""A request whose process died and the retry that takes its place: one of the two is paid, whatever comes late."""

from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.claims import answered, charges, claim_of, read_claim, retry_of
from tests.sql.customers import Customer, make_customer

LIFETIME_S = 10


def _died(customer: Customer, claim: dict[str, object], *, tokens: int = 10) -> Any:
    """Make a request whose hold ends without a word from its process."""
    generation_id = customer.admitted(tokens=tokens, lifetime_s=LIFETIME_S, claim=claim)
    customer.books.pass_time(seconds=LIFETIME_S)
    return generation_id


@pytest.mark.parametrize(("first", "again"), [(claim_of("k"), claim_of("k")), (claim_of(), retry_of())])
def test_a_retry_takes_the_place_of_a_request_whose_process_died(
    books: Books, first: dict[str, object], again: dict[str, object]
) -> None:
    customer = make_customer(books, credit=1000)
    dead = _died(customer, first)
    retry = answered(customer, again)
    assert books.value("select superseded_by from gateway.holds where id = %s", dead) == retry
    assert read_claim(books, dead) is None
    assert customer.admit(tokens=10, claim=again)["generation_id"] == str(retry)


def test_a_superseded_request_that_settles_late_is_not_charged_and_its_provider_is_paid(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    dead = _died(customer, claim_of("k"))
    answered(customer, claim_of("k"), answer="the retry's")
    late = customer.settle(dead, 10, answer="too late")
    assert (late["charged_nanos"], late["cost_nanos"], late["is_late"]) == (0, 0, True)
    assert late["provider_cost_nanos"] == 10
    line = "select waived_reason, list_cost_nanos from gateway.usage_lines where generation_id = %s"
    assert books.rows(line, dead) == [("superseded", 10)]
    assert charges(customer) == (2, 10)
    assert customer.admit(tokens=10, claim=claim_of("k"))["answer"] == "the retry's"
    assert books.broken_rules(customer.account_id) == []


def test_a_superseded_request_is_not_charged_long_after_its_claim_is_erased(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    dead = _died(customer, claim_of(lifetime_s=900))
    answered(customer, {**retry_of(), "lifetime_s": 900})
    books.pass_time(hours=1)
    books.call("erase_answers")
    assert customer.settle(dead, 10)["charged_nanos"] == 0
    assert charges(customer) == (2, 10)


def test_a_reason_to_waive_that_was_given_stays_the_reason(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    dead = _died(customer, claim_of("k"))
    customer.admitted(tokens=10, claim=claim_of("k"))
    customer.settle(dead, 10, waived_reason="crashed")
    assert books.value("select waived_reason from gateway.usage_lines where generation_id = %s", dead) == "crashed"


def test_a_request_that_settled_late_before_the_retry_came_is_paid_and_its_answer_given(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    dead = _died(customer, claim_of("k"))
    assert customer.settle(dead, 10, answer="late, and kept")["is_late"] is True
    answer = customer.admit(tokens=10, claim=claim_of("k"))
    assert (answer["verdict"], answer["answer"]) == ("replay", "late, and kept")
    assert charges(customer) == (1, 10)


def test_a_request_that_settled_late_without_its_answer_is_not_run_again(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    dead = _died(customer, claim_of("k"))
    customer.settle(dead, 10)
    answer = customer.admit(tokens=10, claim=claim_of("k"))
    assert (answer["status"], answer["code"]) == (409, "answer_not_stored")
    assert answer["numbers"] == {"generation_id": str(dead)}
    assert answer["policy"]["account_id"] == customer.account_id


def test_a_retry_that_is_refused_supersedes_nothing(books: Books) -> None:
    customer = make_customer(books, credit=10)
    dead = _died(customer, claim_of("k"))
    other = customer.admitted(tokens=5)
    assert customer.admit(tokens=10, claim=claim_of("k"))["code"] == "insufficient_credits"
    customer.void(other)
    assert customer.settle(dead, 10)["charged_nanos"] == 10


def test_a_retry_with_another_body_does_not_supersede(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    dead = _died(customer, claim_of("k", body="one"))
    assert customer.admit(tokens=10, claim=claim_of("k", body="two"))["code"] == "idempotency_key_reused"
    assert customer.settle(dead, 10)["charged_nanos"] == 10


def test_of_a_chain_of_retries_only_the_one_that_lived_is_paid(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    dead = [_died(customer, claim_of("k")) for _ in range(3)]
    answered(customer, claim_of("k"))
    assert [customer.settle(generation_id, 10)["charged_nanos"] for generation_id in dead] == [0, 0, 0]
    assert charges(customer) == (4, 10)
    assert books.broken_rules(customer.account_id) == []
