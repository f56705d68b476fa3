"""Retries that truly meet: one key at once, a retry at the moment of settlement, a retry against a late settlement."""

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sql.books import MODEL, Books
from tests.sql.claims import answered, charges, claim_of, retry_of
from tests.sql.customers import Customer, bounds_of, make_customer, settlement
from tests.sql.races import Call, Crowd, crowd_of

CROWD = 40
ROUNDS = 8


@pytest.fixture(scope="module")
def crowd(books: Books) -> Iterator[Crowd]:
    with crowd_of(books, CROWD) as crowd:
        yield crowd


def _admission(customer: Customer, claim: dict[str, object]) -> Call:
    return "admit", {
        "generation_id": uuid.uuid4(),
        "caller": customer.caller(),
        "models": [MODEL],
        "providers": None,
        "request": bounds_of(10),
        "lifetime_s": 60,
        "claim": claim,
    }


def _settlement(customer: Customer, generation_id: uuid.UUID, **other: object) -> Call:
    return "settle", {"generation_id": generation_id, **settlement(customer.books, 10, **other)}


def _verdicts(answers: list[Any]) -> Counter[str]:
    return Counter(answer.get("code", answer["verdict"]) for answer in answers)


@pytest.mark.parametrize("claim", [claim_of("k"), retry_of()], ids=["key", "retry"])
def test_of_forty_like_requests_at_once_one_runs(books: Books, crowd: Crowd, claim: dict[str, object]) -> None:
    customer = make_customer(books, credit=1000)
    answers = crowd.call_at_once(customer.account_id, [_admission(customer, claim) for _ in range(CROWD)])
    assert _verdicts(answers) == {"admitted": 1, "idempotency_in_progress": CROWD - 1}
    assert customer.balance()["held_nanos"] == 10
    assert customer.counted()[0] == 1
    running = {answer["numbers"]["generation_id"] for answer in answers if answer["verdict"] == "refused"}
    assert running == {str(books.value("select id from gateway.holds where account_id = %s", customer.account_id))}


def test_forty_like_requests_at_once_without_key_or_sign_are_forty(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books, credit=1000)
    answers = crowd.call_at_once(customer.account_id, [_admission(customer, claim_of()) for _ in range(CROWD)])
    assert _verdicts(answers) == {"admitted": CROWD}


def test_of_two_bodies_under_one_key_at_once_one_has_the_key(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books, credit=1000)
    claims = [claim_of("k", body=f"body-{number % 2}") for number in range(CROWD)]
    answers = crowd.call_at_once(customer.account_id, [_admission(customer, claim) for claim in claims])
    half = CROWD // 2
    assert _verdicts(answers) == {
        "admitted": 1,
        "idempotency_in_progress": half - 1,
        "idempotency_key_reused": half,
    }


@pytest.mark.parametrize(("first", "again"), [(claim_of("k"), claim_of("k")), (claim_of(), retry_of())])
def test_a_retry_at_the_moment_of_settlement_waits_or_gets_the_answer(
    books: Books, crowd: Crowd, first: dict[str, object], again: dict[str, object]
) -> None:
    for _ in range(ROUNDS):
        customer = make_customer(books, credit=1000)
        generation_id = customer.admitted(tokens=10, claim=first)
        settle = _settlement(customer, generation_id, answer="sealed")
        calls = [call for _ in range(6) for call in (_admission(customer, again), settle)]
        verdicts = _verdicts(crowd.call_at_once(customer.account_id, calls))
        assert verdicts["settled"] == 6
        assert verdicts["replay"] + verdicts["idempotency_in_progress"] == 6
        assert charges(customer) == (1, 10)
        assert customer.admit(tokens=10, claim=again)["answer"] == "sealed"


def test_a_retry_and_a_late_settlement_at_once_charge_one_of_the_two(books: Books, crowd: Crowd) -> None:
    for _ in range(ROUNDS):
        customer = make_customer(books, credit=1000)
        dead = customer.admitted(tokens=10, lifetime_s=10, claim=claim_of("k"))
        books.pass_time(seconds=10)
        calls: list[Call] = []
        for _ in range(4):
            calls += [_settlement(customer, dead, answer="late"), _admission(customer, claim_of("k"))]
        answers = crowd.call_at_once(customer.account_id, calls)
        verdicts = _verdicts(answers)
        late = [answer for answer in answers if answer["verdict"] == "settled"]
        assert len(late) == 4
        retries = [
            call[1]["generation_id"]
            for call, answer in zip(calls, answers, strict=True)
            if answer["verdict"] == "admitted"
        ]
        for retry in retries:
            books.call("settle", generation_id=retry, **settlement(books, 10, answer="the retry's"))
        # Either the late settlement was first: paid, its answer given. Or a retry was: it runs, and it pays.
        assert len(retries) in (0, 1)
        assert {answer["charged_nanos"] for answer in late} == {0 if retries else 10}
        assert verdicts["idempotency_in_progress" if retries else "replay"] == 4 - len(retries)
        assert charges(customer) == (1 + len(retries), 10)
        assert books.broken_rules(customer.account_id) == []


def test_a_retry_at_the_moment_of_a_void_runs_once_or_waits(books: Books, crowd: Crowd) -> None:
    for _ in range(ROUNDS):
        customer = make_customer(books, credit=1000)
        first = customer.admitted(tokens=10, claim=claim_of("k"))
        calls: list[Call] = [("void_hold", {"generation_id": first})]
        calls += [_admission(customer, claim_of("k")) for _ in range(5)]
        verdicts = _verdicts(crowd.call_at_once(customer.account_id, calls))
        assert verdicts["voided"] == 1
        assert verdicts["admitted"] <= 1
        assert verdicts["admitted"] + verdicts["idempotency_in_progress"] == 5
        assert customer.balance()["held_nanos"] == 10 * verdicts["admitted"]


def test_forty_replays_at_once_are_all_given_and_all_counted(books: Books, crowd: Crowd) -> None:
    customer = make_customer(books, credit=1000)
    generation_id = answered(customer, claim_of("k"))
    answers = crowd.call_at_once(customer.account_id, [_admission(customer, claim_of("k")) for _ in range(CROWD)])
    assert _verdicts(answers) == {"replay": CROWD}
    assert books.value("select replays from gateway.replays where generation_id = %s", generation_id) == CROWD
    assert customer.counted()[0] == 1
