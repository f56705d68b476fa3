"""How much a key and a plan allow per period: spend limits and quotas, and their roll-over in UTC."""

from datetime import UTC, datetime
from typing import Any

import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer

# A Wednesday, and what is left of its day and its month.
NOON = datetime(2031, 1, 15, 12, tzinfo=UTC)
REST_S = {"day": 43_200, "month": 43_200 + 16 * 86_400}
READ_COUNTED_TOKENS = "select day_tokens, month_tokens from gateway.quota_usage where account_id = %s"


@pytest.fixture(autouse=True)
def at_noon(books: Books) -> None:
    books.set_time(NOON)


def _refused(customer: Customer, tokens: int) -> tuple[int, str, Any]:
    before = customer.counted(), customer.balance()
    answer = customer.admit(tokens=tokens)
    assert answer["verdict"] == "refused", answer
    assert (customer.counted(), customer.balance()) == before
    return answer["status"], answer["code"], answer["numbers"]


def _spend(customer: Customer, tokens: int) -> None:
    assert customer.settle(customer.admitted(tokens=tokens), tokens)["charged_nanos"] == tokens


def test_a_keys_spend_limit_counts_what_was_charged_and_what_is_held(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    customer.set_key(spend_limit_nanos=100)
    _spend(customer, 30)
    customer.admitted(tokens=50)
    numbers = {"limit_nanos": 100, "spent_nanos": 80, "required_nanos": 21}
    assert _refused(customer, 21) == (402, "key_spend_limit_reached", numbers)
    customer.admitted(tokens=20)
    assert _refused(customer, 1)[2]["spent_nanos"] == 100


def test_a_held_amount_that_comes_back_may_be_spent_again(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    customer.set_key(spend_limit_nanos=100)
    voided, expired = customer.admitted(tokens=50), customer.admitted(tokens=50, lifetime_s=5)
    assert _refused(customer, 1)[1] == "key_spend_limit_reached"
    customer.void(voided)
    books.pass_time(seconds=5)
    customer.admitted(tokens=100)
    assert customer.void(expired)["verdict"] == "unchanged"


def test_another_keys_spending_is_its_own(books: Books) -> None:
    customer, other = make_customer(books, credit=1000), make_customer(books, credit=1000)
    customer.set_key(spend_limit_nanos=100)
    _spend(other, 500)
    customer.admitted(tokens=100)


def test_a_free_request_passes_a_used_up_spend_limit(books: Books) -> None:
    customer = make_customer(books)
    customer.set_key(spend_limit_nanos=0)
    customer.admitted(tokens=0)
    assert _refused(customer, 1)[1] == "key_spend_limit_reached"


def test_a_hold_is_not_extended_beyond_the_keys_spend_limit(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    customer.set_key(spend_limit_nanos=100)
    hold_id = customer.admitted(tokens=60)
    assert customer.extend(hold_id, 100)["amount_nanos"] == 100
    refused = customer.extend(hold_id, 101)
    assert (refused["status"], refused["code"]) == (402, "key_spend_limit_reached")
    assert refused["numbers"] == {"limit_nanos": 100, "spent_nanos": 100, "required_nanos": 1}
    assert customer.balance()["held_nanos"] == 100


@pytest.mark.parametrize(
    ("period", "last_moment", "next_moment"),
    [
        ("day", datetime(2031, 1, 15, 23, 59, 59, tzinfo=UTC), datetime(2031, 1, 16, tzinfo=UTC)),
        ("week", datetime(2031, 1, 19, 23, 59, 59, tzinfo=UTC), datetime(2031, 1, 20, tzinfo=UTC)),
        ("month", datetime(2031, 1, 31, 23, 59, 59, tzinfo=UTC), datetime(2031, 2, 1, tzinfo=UTC)),
    ],
)
def test_a_spend_limit_starts_anew_with_its_period(
    books: Books, period: str, last_moment: datetime, next_moment: datetime
) -> None:
    customer = make_customer(books, credit=1000)
    customer.set_key(spend_limit_nanos=100, spend_limit_period=period)
    _spend(customer, 100)
    books.set_time(last_moment)
    assert _refused(customer, 1)[2]["spent_nanos"] == 100
    books.set_time(next_moment)
    _spend(customer, 99)
    assert _refused(customer, 2)[2]["spent_nanos"] == 99


def test_a_total_spend_limit_never_starts_anew(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    customer.set_key(spend_limit_nanos=100, spend_limit_period="total")
    _spend(customer, 100)
    books.pass_time(days=4000)
    assert _refused(customer, 1)[2]["spent_nanos"] == 100


def test_a_hold_over_midnight_counts_in_the_period_in_which_it_is_charged(books: Books) -> None:
    customer = make_customer(books, credit=1000)
    customer.set_key(spend_limit_nanos=100, spend_limit_period="day")
    hold_id = customer.admitted(tokens=100, lifetime_s=90_000)
    books.set_time(datetime(2031, 1, 16, 0, 0, 1, tzinfo=UTC))
    assert _refused(customer, 1)[2]["spent_nanos"] == 100
    customer.settle(hold_id, 40)
    assert _refused(customer, 61)[2]["spent_nanos"] == 40


@pytest.mark.parametrize(("period", "unit"), [("day", "requests"), ("month", "requests")])
def test_a_plans_requests_run_out(books: Books, period: str, unit: str) -> None:
    customer = make_customer(books, credit=1000, quotas={f"{unit}_per_{period}": 2})
    customer.admitted(tokens=1)
    customer.admitted(tokens=1)
    assert _refused(customer, 1) == (
        429,
        f"{period}_{unit}_exhausted",
        {"limit": 2, "used": 2, "retry_after_s": REST_S[period]},
    )


@pytest.mark.parametrize("period", ["day", "month"])
def test_a_plans_tokens_run_out_by_what_was_used_and_not_by_what_was_held(books: Books, period: str) -> None:
    customer = make_customer(books, credit=1000, quotas={f"tokens_per_{period}": 50})
    hold_id = customer.admitted(tokens=500)
    customer.settle(hold_id, 49)
    _spend(customer, 3)
    assert _refused(customer, 1) == (
        429,
        f"{period}_tokens_exhausted",
        {"limit": 50, "used": 52, "retry_after_s": REST_S[period]},
    )


@pytest.mark.parametrize("quota", ["requests_per_day", "tokens_per_day", "requests_per_month", "tokens_per_month"])
def test_a_quota_starts_anew_at_midnight_utc(books: Books, quota: str) -> None:
    ends = {"day": datetime(2031, 1, 16, tzinfo=UTC), "month": datetime(2031, 2, 1, tzinfo=UTC)}
    next_moment = ends[quota.rpartition("_")[2]]
    customer = make_customer(books, credit=1000, quotas={quota: 1})
    _spend(customer, 1)
    books.set_time(next_moment)
    books.pass_time(seconds=-1)
    assert _refused(customer, 1)[0] == 429
    books.pass_time(seconds=1)
    _spend(customer, 1)
    assert _refused(customer, 1)[2]["used"] == 1


def test_a_plan_of_zero_requests_admits_none_and_one_without_limits_any(books: Books) -> None:
    numbers = {"limit": 0, "used": 0, "retry_after_s": REST_S["day"]}
    assert _refused(make_customer(books, credit=1000, quotas={"requests_per_day": 0}), 1)[2] == numbers
    unlimited = make_customer(books, credit=1000)
    for _ in range(5):
        unlimited.admitted(tokens=1)


def test_a_request_of_yesterday_that_is_voided_today_is_not_taken_from_today(books: Books) -> None:
    customer = make_customer(books, credit=1000, quotas={"requests_per_day": 1})
    books.set_time(datetime(2031, 1, 15, 23, 59, 59, tzinfo=UTC))
    yesterday = customer.admitted(tokens=1)
    books.set_time(datetime(2031, 1, 16, 0, 0, 1, tzinfo=UTC))
    customer.admitted(tokens=1)
    customer.void(yesterday)
    assert _refused(customer, 1)[2] == {"limit": 1, "used": 1, "retry_after_s": 86_399}


def test_a_quota_is_refused_before_a_missing_balance(books: Books) -> None:
    assert _refused(make_customer(books, quotas={"requests_per_day": 0}), 1)[1] == "day_requests_exhausted"
    numbers = {"available_nanos": 0, "required_nanos": 1}
    assert _refused(make_customer(books), 1) == (402, "insufficient_credits", numbers)


@pytest.mark.parametrize(("waived_reason", "tokens"), [(None, 30), ("no_answer", 0), ("crashed", 0)])
def test_the_tokens_of_a_waived_request_do_not_use_up_the_quota(
    books: Books, waived_reason: str | None, tokens: int
) -> None:
    customer = make_customer(books, credit=1000)
    _spend(customer, 12)
    assert books.rows(READ_COUNTED_TOKENS, customer.account_id) == [(12, 12)]
    answer = customer.settle(customer.admitted(tokens=30), 30, waived_reason=waived_reason)
    assert (answer["charged_nanos"], answer["provider_cost_nanos"]) == (tokens, 30)
    assert books.rows(READ_COUNTED_TOKENS, customer.account_id) == [(12 + tokens, 12 + tokens)]
