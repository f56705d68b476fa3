"""A request that comes again: who is known again, what is answered, and that it costs nothing."""

import uuid
from typing import Any

import psycopg
import pytest

from tests.sql.books import MODEL, PROVIDER, Books
from tests.sql.claims import answered, charges, claim_of, read_claim, retry_of, second_key_of, set_account
from tests.sql.customers import make_customer, make_model


def _refusal(answer: Any) -> tuple[str, int, str]:
    return answer["verdict"], answer["status"], answer["code"]


def test_a_key_whose_request_is_still_running_is_refused_and_named(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    first = customer.admitted(tokens=10, claim=claim_of("k"))
    answer = customer.admit(tokens=10, claim=claim_of("k"))
    assert _refusal(answer) == ("refused", 409, "idempotency_in_progress")
    assert answer["numbers"] == {"generation_id": str(first)}
    assert answer["policy"]["account_id"] == customer.account_id
    assert customer.balance()["held_nanos"] == 10


def test_a_key_whose_request_is_paid_for_gets_its_answer_every_time(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    first = answered(customer, claim_of("k"))
    for times in (1, 2, 3):
        answer = customer.admit(tokens=10, claim=claim_of("k"))
        policy = answer.pop("policy")
        assert answer == {
            "verdict": "replay",
            "generation_id": str(first),
            "provider": PROVIDER,
            "cost_nanos": 10,
            "answer": "sealed",
        }
        assert policy["account_id"] == customer.account_id
        assert read_claim(books, first) == ("sealed", times, False)


def test_a_replay_costs_nothing_and_counts_nowhere(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of("k"))
    before = customer.counted(), customer.balance(), charges(customer)
    for _ in range(3):
        assert customer.admit(tokens=10, claim=claim_of("k"))["verdict"] == "replay"
    assert (customer.counted(), customer.balance(), charges(customer)) == before
    assert charges(customer) == (1, 10)


def test_a_replay_needs_neither_balance_nor_quota_nor_a_request_left_nor_the_model(books: Books) -> None:
    customer = make_customer(books, credit=10, quotas={"requests_per_day": 1})
    customer.set_key(max_requests=1, spend_limit_nanos=10)
    make_model(books, "claims/gone", {PROVIDER: {"input_tokens": 1_000_000, "output_tokens": 0}})
    first = customer.admitted(tokens=10, models=["claims/gone"], claim=claim_of("k"))
    customer.settle(first, 10, answer="sealed")
    books.rows("update gateway.models set is_enabled = false where id = 'claims/gone'")
    assert customer.admit(tokens=10, models=["claims/gone"], claim=claim_of("k"))["verdict"] == "replay"
    assert _refusal(customer.admit(tokens=1, claim=claim_of("other"))) == ("refused", 429, "key_requests_exhausted")


@pytest.mark.parametrize(
    ("columns", "code"),
    [
        ({"is_active": False}, "invalid_api_key"),
        ({"ip_allowlist": ["192.0.2.1/32"]}, "address_not_allowed"),
        ({"allowed_domains": ["shop.example"]}, "domain_not_allowed"),
        ({"scopes": ["models:read"]}, "missing_scope"),
        ({"model_globs": ["other/*"]}, "model_not_allowed"),
    ],
)
def test_a_key_that_may_no_longer_ask_gets_its_refusal_and_not_the_answer(
    books: Books, columns: dict[str, object], code: str
) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of("k"))
    customer.set_key(**columns)
    answer = customer.admit(tokens=10, claim=claim_of("k"))
    assert (answer["verdict"], answer["code"]) == ("refused", code)


def test_a_suspended_account_gets_no_answer_either(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of("k"))
    set_account(customer, status="suspended")
    assert _refusal(customer.admit(tokens=10, claim=claim_of("k"))) == ("refused", 403, "account_suspended")


@pytest.mark.parametrize("is_settled", [False, True])
def test_a_key_with_another_body_is_refused(books: Books, *, is_settled: bool) -> None:
    customer = make_customer(books, credit=1000)
    first = customer.admitted(tokens=10, claim=claim_of("k", body="one"))
    if is_settled:
        customer.settle(first, 10, answer="sealed")
    answer = customer.admit(tokens=10, claim=claim_of("k", body="two"))
    assert _refusal(answer) == ("refused", 409, "idempotency_key_reused")
    assert answer["policy"]["account_id"] == customer.account_id


def test_a_claim_never_crosses_api_keys(books: Books) -> None:
    customer, stranger = make_customer(books, credit=1000), make_customer(books, credit=1000)
    sibling = second_key_of(customer, "second")
    answered(customer, claim_of("k"))
    answered(customer, claim_of())
    for other in (sibling, stranger):
        for claim in (claim_of("k"), claim_of("k", body="another"), retry_of()):
            generation_id = other.admitted(tokens=10, claim=claim)
            other.void(generation_id)
    assert customer.admit(tokens=10, claim=claim_of("k"))["verdict"] == "replay"


def test_claims_are_found_by_any_secrets_hash(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of("k-old", body="b-old"))
    rotated = claim_of("k-new", "k-old", body=("b-new", "b-old"))
    assert customer.admit(tokens=10, claim=rotated)["verdict"] == "replay"
    assert customer.admit(tokens=10, claim=claim_of("k-new", "k-old", body="b-new"))["code"] == "idempotency_key_reused"
    answered(customer, claim_of("m-new", "m-old", body=("b-new", "b-old")))
    assert customer.admit(tokens=10, claim=claim_of("m-new", body="b-new"))["verdict"] == "replay"
    answered(customer, claim_of(body="c-old"))
    by_body = claim_of(body=("c-new", "c-old"), is_retry=True)
    assert customer.admit(tokens=10, claim=by_body)["verdict"] == "replay"


def test_a_refused_request_leaves_no_claim(books: Books) -> None:
    customer = make_customer(books, credit=10, quotas={"requests_per_day": 3})
    claim = claim_of("k")
    assert _refusal(customer.admit(tokens=11, claim=claim)) == ("refused", 402, "insufficient_credits")
    assert _refusal(customer.admit(models=["no/model"], claim=claim)) == ("refused", 404, "model_not_found")
    customer.set_key(spend_limit_nanos=5)
    assert _refusal(customer.admit(tokens=6, claim=claim)) == ("refused", 402, "key_spend_limit_reached")
    customer.set_key(spend_limit_nanos=None, scopes=["models:read"])
    assert _refusal(customer.admit(tokens=6, claim=claim)) == ("refused", 403, "missing_scope")
    customer.set_key(scopes=["inference"])
    assert books.value("select count(*) from gateway.replays where account_id = %s", customer.account_id) == 0
    # The key was never taken, so even another body may have it.
    customer.admitted(tokens=5, claim=claim_of("k", body="smaller"))


def test_a_request_over_quota_leaves_no_claim(books: Books) -> None:
    customer = make_customer(books, credit=10, quotas={"requests_per_day": 1})
    customer.admitted(tokens=1)
    assert _refusal(customer.admit(tokens=1, claim=claim_of("k"))) == ("refused", 429, "day_requests_exhausted")
    books.pass_time(days=1)
    customer.admitted(tokens=1, claim=claim_of("k", body="tomorrow's"))


def test_a_voided_request_frees_its_key(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    first = customer.admitted(tokens=10, claim=claim_of("k"))
    customer.void(first)
    assert read_claim(books, first) is None
    answered(customer, claim_of("k", body="another"))
    assert charges(customer) == (1, 10)


def test_a_waived_request_frees_its_key_and_keeps_no_answer(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    first = customer.admitted(tokens=10, claim=claim_of("k"))
    customer.settle(first, 10, waived_reason="no_answer", answer="sealed")
    assert read_claim(books, first) is None
    customer.settle(first, 10, answer="sealed")
    answered(customer, claim_of("k"), answer="second")
    assert customer.admit(tokens=10, claim=claim_of("k"))["answer"] == "second"


def test_two_like_requests_without_the_sign_of_a_retry_stay_two(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of())
    answered(customer, claim_of())
    assert charges(customer) == (2, 20)


def test_each_of_two_like_requests_gets_a_retry_of_its_own(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of(), answer="first")
    books.pass_time(seconds=1)
    answered(customer, claim_of(), answer="second")
    answers = [customer.admit(tokens=10, claim=retry_of())["answer"] for _ in range(4)]
    assert answers == ["second", "first", "second", "first"]


def test_a_retry_without_a_key_waits_for_the_request_that_is_still_running(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    first = customer.admitted(tokens=10, claim=claim_of())
    answer = customer.admit(tokens=10, claim=retry_of())
    assert _refusal(answer) == ("refused", 409, "idempotency_in_progress")
    customer.settle(first, 10, answer="sealed")
    assert customer.admit(tokens=10, claim=retry_of())["generation_id"] == str(first)


def test_a_retry_of_what_never_arrived_is_a_request_and_is_known_again(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    first = customer.admitted(tokens=10, claim=retry_of("lost"))
    assert customer.admit(tokens=10, claim=retry_of("lost"))["numbers"] == {"generation_id": str(first)}


def test_a_key_is_not_found_by_its_body_nor_a_body_by_a_key(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of("k"))
    answered(customer, retry_of())
    answered(customer, claim_of("m", is_retry=True))
    assert charges(customer) == (3, 30)


def test_a_claim_is_known_for_its_time_and_not_a_moment_longer(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    answered(customer, claim_of("k", lifetime_s=60))
    answered(customer, claim_of(body="plain", lifetime_s=60))
    books.pass_time(seconds=59)
    assert customer.admit(tokens=10, claim=claim_of("k"))["verdict"] == "replay"
    assert customer.admit(tokens=10, claim=retry_of("plain"))["verdict"] == "replay"
    books.pass_time(seconds=1)
    # No sweep has run: the old rows still stand, and give way.
    answered(customer, claim_of("k", body="another"))
    answered(customer, retry_of("plain"))
    assert charges(customer) == (4, 40)


def test_asking_again_with_the_same_generation_id_is_not_a_retry_of_itself(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    generation_id = uuid.uuid4()
    answers = [customer.admit(tokens=10, generation_id=generation_id, claim=claim_of("k")) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0]["verdict"] == "admitted"
    assert customer.balance()["held_nanos"] == 10


def test_a_request_without_a_claim_is_known_by_nothing(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    generation_id = customer.admitted(tokens=10)
    customer.settle(generation_id, 10, answer="sealed")
    assert read_claim(books, generation_id) is None
    customer.admitted(tokens=10, claim=retry_of())


@pytest.mark.parametrize(
    "change",
    [
        {"body_hmacs": []},
        {"body_hmacs": None},
        {"body_hmacs": [None]},
        {"key_hmacs": []},
        {"key_hmacs": [None]},
        {"is_retry": None},
        {"lifetime_s": 0},
        {"lifetime_s": None},
    ],
)
def test_a_claim_that_could_be_known_by_nothing_or_everything_is_an_error(
    books: Books, change: dict[str, object]
) -> None:
    customer = make_customer(books, credit=1000)
    with pytest.raises(psycopg.errors.InvalidParameterValue):
        customer.admit(tokens=10, models=[MODEL], claim={**claim_of("k"), **change})
    assert customer.counted()[0] == 0
