"""Stored responses at once: stored, deleted, swept, and ended with their account; what is counted is what is there."""

import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.claims import claim_of, read_claim
from tests.sql.customers import Customer, caller_of, make_customer, settlement
from tests.sql.key_owners import make_owner
from tests.sql.races import Call, Crowd, crowd_of

CROWD = 20
ROUNDS = 6
MAX_STORED_BYTES = 256 << 20
CONTENT = "sealed words"
LOCK_COUNTS = "select from gateway.quota_usage where account_id = %s for no key update"
LOCK_ACCOUNT = "select from gateway.accounts where id = %s for no key update"
LOCK_RESPONSE = "select from gateway.stored_responses where generation_id = %s for no key update"
COUNT = """
    select (select count(*)::int from gateway.stored_responses where account_id = %(id)s),
           (select stored_bytes::int from gateway.quota_usage where account_id = %(id)s)
"""
READ_CONTENT = "select content from gateway.stored_responses where generation_id = %s"
SET_COUNT = "update gateway.quota_usage set stored_bytes = %s where account_id = %s"
AGE = "update gateway.stored_responses set expires_at = created_at where generation_id = any (%s)"
ERASED_FOR = ("delete_account", "update_profile")


@pytest.fixture(scope="module")
def crowd(books: Books) -> Iterator[Crowd]:
    with crowd_of(books, CROWD) as crowd:
        yield crowd


@pytest.fixture
def owner(books: Books) -> Customer:
    """An account with credit, whose key may also end it."""
    return make_owner(books)


def store(generation_id: uuid.UUID, content: str = CONTENT, previous_id: uuid.UUID | None = None) -> Call:
    given = {"previous_id": previous_id, "content": content, "size_bytes": len(content)}
    return "store_response", {"generation_id": generation_id, **given}


def delete(customer: Customer, generation_id: uuid.UUID) -> Call:
    return "delete_response", {"caller": customer.caller(), "generation_id": generation_id}


def end(customer: Customer, function: str) -> Call:
    """Return the call after which the account keeps nothing."""
    caller = caller_of(customer.key_hmac, scope="account:write")
    changes: dict[str, object] = {"changes": {"is_zero_retention": True}} if function == "update_profile" else {}
    return function, {"caller": caller, **changes}


def stored(customer: Customer, count: int, content: str = CONTENT) -> list[uuid.UUID]:
    """Store so many responses, one after the other."""
    ids = [customer.admitted(tokens=1) for _ in range(count)]
    for generation_id in ids:
        function, arguments = store(generation_id, content)
        assert customer.books.call(function, **arguments) == {"verdict": "stored"}
    return ids


def verdicts(answers: list[Any]) -> Counter[str]:
    return Counter(answer.get("code", answer["verdict"]) for answer in answers)


def counted(customer: Customer) -> tuple[int, int]:
    """Return how many responses there are, and how many bytes are counted; the books agree with both."""
    assert customer.books.broken_rules(customer.account_id) == []
    cursor = customer.books.owner.execute(COUNT.encode(), {"id": customer.account_id})
    ((count, size_bytes),) = cursor.fetchall()
    return count, size_bytes


def test_one_response_that_is_stored_many_times_at_once_is_there_and_counted_once(
    crowd: Crowd, owner: Customer
) -> None:
    generation_id = owner.admitted(tokens=1)
    answers = crowd.call_at_once(owner.account_id, [store(generation_id)] * CROWD, lock=LOCK_COUNTS)
    assert verdicts(answers) == {"stored": CROWD}
    assert counted(owner) == (1, len(CONTENT))


def test_responses_that_end_at_once_are_all_there_and_counted(crowd: Crowd, owner: Customer) -> None:
    ids = [owner.admitted(tokens=1) for _ in range(CROWD)]
    contents = ["x" * (number + 1) for number in range(CROWD)]
    calls = [store(generation_id, content) for generation_id, content in zip(ids, contents, strict=True)]
    answers = crowd.call_at_once(owner.account_id, calls, lock=LOCK_COUNTS)
    assert verdicts(answers) == {"stored": CROWD}
    assert counted(owner) == (CROWD, sum(map(len, contents)))
    assert [owner.books.value(READ_CONTENT, generation_id) for generation_id in ids] == contents


def test_at_the_edge_of_what_an_account_may_store_as_many_are_stored_as_fit(crowd: Crowd, owner: Customer) -> None:
    ids = [owner.admitted(tokens=1) for _ in range(CROWD)]
    owner.books.rows(SET_COUNT, MAX_STORED_BYTES - 3 * len(CONTENT) - 1, owner.account_id)
    answers = crowd.call_at_once(owner.account_id, [store(each) for each in ids], lock=LOCK_COUNTS)
    assert verdicts(answers) == {"stored": 3, "response_not_stored": CROWD - 3}
    assert {answer["numbers"]["reason"] for answer in answers if answer["verdict"] == "refused"} == {"full"}
    owner.books.rows(SET_COUNT, 3 * len(CONTENT), owner.account_id)
    assert counted(owner) == (3, 3 * len(CONTENT))


def test_a_response_that_is_deleted_many_times_at_once_is_counted_off_once(crowd: Crowd, owner: Customer) -> None:
    first, other = stored(owner, 2)
    answers = crowd.call_at_once(str(first), [delete(owner, first)] * CROWD, lock=LOCK_RESPONSE)
    assert set(verdicts(answers)) <= {"deleted", "response_not_found"}
    assert verdicts(answers)["deleted"] >= 1
    assert counted(owner) == (1, len(CONTENT))
    assert owner.books.value(READ_CONTENT, other) == CONTENT


def test_storing_deleting_and_sweeping_at_once_leave_exact_counts(books: Books, crowd: Crowd, owner: Customer) -> None:
    for _ in range(ROUNDS):
        aged, deleted = stored(owner, 3), stored(owner, 3)
        fresh = [owner.admitted(tokens=1) for _ in range(6)]
        books.rows(AGE, aged)
        calls: list[Call] = [store(each) for each in fresh]
        calls += [delete(owner, each) for each in deleted]
        calls += [("erase_answers", {})] * 3
        # A sweep passes over what another one has.
        crowd.call_at_once(owner.account_id, calls, lock=LOCK_COUNTS, least=len(calls) - 2)
        assert counted(owner) == (6, 6 * len(CONTENT))
        books.rows(AGE, fresh)
        books.call("erase_answers")
        assert counted(owner) == (0, 0)


@pytest.mark.parametrize("function", ERASED_FOR)
def test_nothing_is_stored_behind_the_back_of_who_has_the_account_keep_nothing(
    books: Books, crowd: Crowd, function: str
) -> None:
    for _ in range(ROUNDS):
        owner = make_owner(books)
        stored(owner, 3)
        calls = [store(owner.admitted(tokens=1)) for _ in range(CROWD - 1)]
        calls.insert(CROWD // 2, end(owner, function))
        answers = crowd.call_at_once(owner.account_id, calls, lock=LOCK_ACCOUNT)
        assert answers[CROWD // 2]["verdict"] != "refused", answers[CROWD // 2]
        assert counted(owner) == (0, 0)
        again, arguments = calls[0]
        assert books.call(again, **arguments)["numbers"] == {"reason": "zero_retention"}


def test_what_is_kept_for_a_retry_goes_with_the_response_whoever_settles_meanwhile(
    books: Books, crowd: Crowd, owner: Customer
) -> None:
    for _ in range(ROUNDS):
        generation_id = owner.admitted(tokens=1, claim=claim_of(f"k{uuid.uuid4()}"))
        function, arguments = store(generation_id)
        books.call(function, **arguments)
        settle: Call = ("settle", {"generation_id": generation_id, **settlement(books, 1, answer="sealed")})
        answers = crowd.call_at_once(owner.account_id, [settle, delete(owner, generation_id), settle], lock=LOCK_COUNTS)
        assert [answer["verdict"] for answer in answers] == ["settled", "deleted", "settled"]
        assert read_claim(books, generation_id) == (None, 0, True)
    assert counted(owner) == (0, 0)


def test_another_account_can_neither_read_nor_delete(books: Books, owner: Customer) -> None:
    stranger = make_customer(books, credit=10)
    (generation_id,) = stored(owner, 1)
    for function in ("read_response", "delete_response"):
        answer = books.call(function, caller=stranger.caller(), generation_id=generation_id)
        assert answer["code"] == "response_not_found"
    arguments = {"previous_id": generation_id, "named_ids": [generation_id]}
    answer = books.call("read_conversation", caller=stranger.caller(), **arguments)
    assert answer["code"] == "previous_response_not_found"
    assert counted(owner) == (1, len(CONTENT))
