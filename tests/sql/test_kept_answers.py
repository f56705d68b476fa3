"""What a settlement keeps of an answer, for whom, and for how long."""

import uuid

import pytest
from psycopg.types.json import Jsonb

from tests.sql.books import Books
from tests.sql.claims import answered, charges, claim_of, read_claim, set_account
from tests.sql.customers import Customer, make_customer

ERASE = "update gateway.replays set answer = null, is_erased = true where generation_id = %s"
LOCK_CLAIM = "select from gateway.replays where generation_id = %s for update"


@pytest.fixture
def customer(books: Books) -> Customer:
    return make_customer(books, credit=1000)


def _code_of_a_retry(customer: Customer) -> str:
    code: str = customer.admit(tokens=10, claim=claim_of("k"))["code"]
    return code


def test_an_account_without_retention_is_charged_and_nothing_is_kept(books: Books, customer: Customer) -> None:
    set_account(customer, is_zero_retention=True)
    generation_id = answered(customer, claim_of("k"))
    assert read_claim(books, generation_id) == (None, 0, False)
    assert _code_of_a_retry(customer) == "answer_not_stored"
    customer.settle(generation_id, 10, answer="sealed")
    assert read_claim(books, generation_id) == (None, 0, False)
    assert charges(customer) == (1, 10)


def test_an_answer_too_large_to_send_along_is_not_run_again(customer: Customer) -> None:
    generation_id = customer.admitted(tokens=10, claim=claim_of("k"))
    customer.settle(generation_id, 10, answer=None)
    assert _code_of_a_retry(customer) == "answer_not_stored"


def test_settling_again_brings_the_answer_that_was_lost_and_moves_nothing(books: Books, customer: Customer) -> None:
    generation_id = customer.admitted(tokens=10, claim=claim_of("k"))
    customer.settle(generation_id, 10)
    before = customer.balance(), charges(customer)
    assert customer.settle(generation_id, 99, answer="sealed")["is_repeated"] is True
    assert read_claim(books, generation_id) == ("sealed", 0, False)
    assert (customer.balance(), charges(customer)) == before


def test_the_first_answer_that_was_kept_stays(books: Books, customer: Customer) -> None:
    generation_id = answered(customer, claim_of("k"), answer="first")
    customer.settle(generation_id, 10, answer="second")
    assert read_claim(books, generation_id) == ("first", 0, False)


def test_an_erased_answer_does_not_come_back(books: Books, customer: Customer) -> None:
    generation_id = answered(customer, claim_of("k"))
    books.rows(ERASE, generation_id)
    customer.settle(generation_id, 10, answer="sealed")
    assert read_claim(books, generation_id) == (None, 0, True)
    assert _code_of_a_retry(customer) == "answer_not_stored"


def test_what_is_erased_before_it_is_settled_is_never_kept(books: Books, customer: Customer) -> None:
    generation_id = customer.admitted(tokens=10, claim=claim_of("k"))
    books.rows(ERASE, generation_id)
    customer.settle(generation_id, 10, answer="sealed")
    assert read_claim(books, generation_id) == (None, 0, True)


def test_an_answer_after_the_claims_time_is_not_kept(books: Books, customer: Customer) -> None:
    generation_id = customer.admitted(tokens=10, claim=claim_of("k", lifetime_s=5))
    books.pass_time(seconds=5)
    assert customer.settle(generation_id, 10, answer="sealed")["charged_nanos"] == 10
    assert read_claim(books, generation_id) == (None, 0, False)


def test_a_settlement_writes_down_what_was_asked_and_the_providers_name_for_the_answer(
    books: Books, customer: Customer
) -> None:
    facts = {"outcome": "completed", "is_stream": True}
    asked = {"models": ["test/nano"], "choices": 1, "max_output_tokens": None, "image_count": 0, "prompt_bytes": 12}
    lines = []
    for more in ({"request": asked, "upstream_id": "gen-sim-1"}, {"request": None, "upstream_id": None}, {}):
        generation_id = customer.admitted(tokens=10)
        customer.settle(generation_id, 10, facts=Jsonb({**facts, **more}))
        line = "select request, request is null, upstream_id from gateway.usage_lines where generation_id = %s"
        lines += books.rows(line, generation_id)
    assert lines == [(asked, False, "gen-sim-1"), (None, True, None), (None, True, None)]


def test_answers_are_erased_when_their_time_is_over_and_the_bill_stays(own_ledger: Books) -> None:
    customer = make_customer(own_ledger, credit=1000)
    ids = [answered(customer, claim_of(f"k{number}", lifetime_s=1 + number)) for number in range(5)]
    assert own_ledger.call("erase_answers") == {"count": 0}
    own_ledger.rows("update gateway.replays set expires_at = expires_at - interval '3 seconds' - interval '1 minute'")
    own_ledger.rows(
        "update gateway.replays set expires_at = now() + interval '1 hour' where generation_id = %s", ids[4]
    )
    assert own_ledger.call("erase_answers", limit=1) == {"count": 1}
    assert read_claim(own_ledger, ids[0]) is None
    assert own_ledger.call("erase_answers") == {"count": 3}
    assert own_ledger.call("erase_answers") == {"count": 0}
    assert read_claim(own_ledger, ids[4]) == ("sealed", 0, False)
    assert charges(customer) == (5, 50)
    assert own_ledger.broken_rules() == []


def test_erasing_passes_over_a_claim_that_is_in_use_and_never_waits(own_ledger: Books) -> None:
    customer = make_customer(own_ledger, credit=1000)
    busy, idle = (answered(customer, claim_of(key)) for key in ("busy", "idle"))
    own_ledger.rows("update gateway.replays set expires_at = now() - interval '1 second'")
    with own_ledger.owner.transaction():
        own_ledger.rows(LOCK_CLAIM, busy)
        assert own_ledger.call("erase_answers") == {"count": 1}
    assert (read_claim(own_ledger, busy), read_claim(own_ledger, idle)) == (("sealed", 0, False), None)
    assert own_ledger.call("erase_answers") == {"count": 1}


def test_erasing_takes_a_claim_of_a_request_that_still_runs_without_harm(books: Books, customer: Customer) -> None:
    generation_id = customer.admitted(tokens=10, lifetime_s=600, claim=claim_of("k", lifetime_s=5))
    books.pass_time(seconds=5)
    books.call("erase_answers")
    assert read_claim(books, generation_id) is None
    assert customer.settle(generation_id, 10, answer="sealed")["charged_nanos"] == 10
    assert read_claim(books, generation_id) is None


def test_an_unknown_generation_keeps_no_answer(customer: Customer) -> None:
    assert customer.settle(uuid.uuid4(), 10, answer="sealed")["code"] == "unknown_hold"


ROOM = 64 * 1024 * 1024
READ_KEPT_BYTES = "select kept_bytes from gateway.quota_usage where account_id = %s"
FILL = "update gateway.quota_usage set kept_bytes = %s where account_id = %s"
LET_CLAIMS_END = "update gateway.replays set expires_at = created_at where account_id = %s"


def kept_bytes(books: Books, customer: Customer) -> int:
    return int(books.value(READ_KEPT_BYTES, customer.account_id))


def test_an_account_keeps_no_more_than_its_room(books: Books, customer: Customer) -> None:
    books.rows(FILL, ROOM - 5, customer.account_id)
    assert read_claim(books, answered(customer, claim_of("k"), answer="sealed")) == (None, 0, False)
    assert _code_of_a_retry(customer) == "answer_not_stored"
    assert read_claim(books, answered(customer, claim_of("other"), answer="seale")) == ("seale", 0, False)
    assert kept_bytes(books, customer) == ROOM
    books.rows(FILL, 5, customer.account_id)


def test_bytes_are_counted_while_they_are_kept_whatever_ends_them(books: Books, customer: Customer) -> None:
    erased = answered(customer, claim_of("a"), answer="12345")
    answered(customer, claim_of("b"), answer="1234567")
    assert kept_bytes(books, customer) == 12
    books.rows(ERASE, erased)
    assert kept_bytes(books, customer) == 7
    assert books.broken_rules(customer.account_id) == []
    books.rows(LET_CLAIMS_END, customer.account_id)
    assert books.call("erase_answers")["count"] >= 2
    assert kept_bytes(books, customer) == 0
    books.rows(FILL, 3, customer.account_id)
    (broken,) = books.broken_rules(customer.account_id)
    assert broken == {"rule": "bytes kept = the answers that are kept", "subject": str(customer.account_id)}
    books.rows(FILL, 0, customer.account_id)


def test_a_sweep_that_meets_another_leaves_the_erasing_to_it(books: Books, customer: Customer) -> None:
    answered(customer, claim_of("a"), answer="12345")
    books.rows(LET_CLAIMS_END, customer.account_id)
    with books.owner.transaction():
        books.rows("select pg_advisory_xact_lock(hashtext('gateway.erase_answers'))")
        assert books.call("erase_answers") == {"count": 0}
    assert books.call("erase_answers")["count"] >= 1
