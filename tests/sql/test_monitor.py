"""What an operator is told of a window: every settled request in it once, and what stands open now."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.sql.admins import OPERATOR
from tests.sql.books import MODEL, Books
from tests.sql.customers import Customer, make_customer, make_model
from tests.sql.gifts import ask, make_person, starting
from tests.sql.key_owners import refusal

WINDOW = timedelta(minutes=10)
BOUND = "create or replace function gateway.max_monitored() returns int language sql immutable as 'select 3'"


def _attempt(
    provider: str = "openrouter", status: int | None = 200, *, fault: bool = False, **other: Any
) -> dict[str, Any]:
    return {
        "provider": provider, "model_id": MODEL, "status": status, "is_success": status == 200,
        "is_request_at_fault": fault, "reason": "", "first_byte_ms": 50, "started_ms": 0, **other,
    }  # fmt: skip


def _use(customer: Customer, tokens: int, *, outcome: str = "completed", **other: Any) -> Any:
    facts = {"outcome": outcome, "is_stream": False, **other.pop("facts", {})}
    return customer.settle(customer.admitted(tokens=tokens), tokens, facts=facts, **other)


def _monitor(books: Books, start: datetime | None = None, end: datetime | None = None) -> Any:
    answer = books.call("read_monitor", admin=OPERATOR, **{"from": start, "to": end})
    assert answer["verdict"] == "monitor", answer
    return answer


@pytest.fixture
def start(books: Books) -> datetime:
    """The beginning of a window of this test's own."""
    books.pass_time(days=2)
    return books.now()


def _told(books: Books, start: datetime) -> Any:
    return _monitor(books, start, start + WINDOW)["traffic"]["total"]


def test_a_window_without_requests_is_told_in_zeros(books: Books, start: datetime) -> None:
    told = _monitor(books, start, start + WINDOW)
    total = told["traffic"]["total"]
    times = {"count": 0, "p50": None, "p90": None, "p95": None, "p99": None, "max": None}
    assert (total.pop("duration_ms"), total.pop("first_byte_ms")) == (times, times)
    assert total.pop("charged_by_credit") == {}
    assert set(total.values()) == {0}
    assert (told["traffic"]["models"], told["providers"]) == ([], [])


def test_the_last_hour_is_meant_where_no_window_is_named(books: Books, start: datetime) -> None:
    _use(make_customer(books, credit=1_000), 10)
    books.pass_time(minutes=59)
    told = _monitor(books)
    assert datetime.fromisoformat(told["to"]) - datetime.fromisoformat(told["from"]) == timedelta(hours=1)
    assert told["traffic"]["total"]["requests"] == 1
    books.pass_time(minutes=1, seconds=1)
    assert _monitor(books)["traffic"]["total"]["requests"] == 0


def test_a_request_is_in_the_window_that_it_was_settled_in_and_in_no_other(books: Books, start: datetime) -> None:
    customer = make_customer(books, credit=1_000)
    _use(customer, 10)
    books.set_time(start + WINDOW)
    _use(customer, 20)
    assert [_told(books, at)["requests"] for at in (start - WINDOW, start, start + WINDOW, start + 2 * WINDOW)] == [
        0,
        1,
        1,
        0,
    ]


def test_requests_are_counted_by_how_they_ended(books: Books, start: datetime) -> None:
    first, second = make_customer(books, credit=1_000), make_customer(books, credit=1_000)
    for outcome, count in (("completed", 4), ("failed", 3), ("interrupted", 2), ("abandoned", 1)):
        for _ in range(count):
            _use(first, 1, outcome=outcome, facts={"is_stream": outcome == "completed"})
    _use(second, 1)
    told = _told(books, start)
    names = ("requests", "completed", "failed", "interrupted", "abandoned", "streams", "accounts", "keys", "late")
    assert [told[name] for name in names] == [11, 5, 3, 2, 1, 4, 2, 2, 0]


def test_money_and_tokens_are_what_the_books_say(books: Books, start: datetime) -> None:
    customer = make_customer(books, credit=1_000)
    rates = {"input_tokens": 1_000_000, "output_tokens": 3_000_000}
    prices = make_model(books, "test/monitored", {"portkey": rates})
    quantities = {
        "input_tokens": 100,
        "output_tokens": 20,
        "cached_input_tokens": 7,
        "cache_write_tokens": 5,
        "images": 2,
    }
    _use(
        customer, 50, price_id=prices["portkey"], quantities=quantities, reported_cost_nanos=200,
        facts={"reasoning_tokens": 9},
    )  # fmt: skip
    _use(customer, 40, waived_reason="crashed")
    poor = make_customer(books, credit=10)
    poor.settle(poor.admitted(tokens=10), 25)
    told = _told(books, start)
    tokens = (
        "input_tokens",
        "cached_input_tokens",
        "cache_write_tokens",
        "output_tokens",
        "reasoning_tokens",
        "images",
    )
    assert [told[name] for name in tokens] == [100 + 40 + 25, 7, 5, 20, 9, 2]
    # 100 + 60 for tokens; what is cached is priced as other input is, where it has no price of its own.
    ((cost, charged, shortfall, provider, excess),) = books.rows(
        "select sum(cost_nanos)::bigint, sum(charged_nanos)::bigint, sum(shortfall_nanos)::bigint,"
        " sum(provider_cost_nanos)::bigint, sum(cost_excess_nanos)::bigint"
        " from gateway.usage_lines where created_at >= %s",
        start,
    )
    assert (told["cost_nanos"], told["charged_nanos"]) == (cost, charged)
    assert (told["shortfall_nanos"], told["provider_cost_nanos"], told["cost_excess_nanos"]) == (
        shortfall,
        provider,
        excess,
    )
    assert (shortfall, told["waived"], told["waived_cost_nanos"]) == (15, 1, 40)
    assert excess > 0


def test_what_was_charged_is_told_by_the_kind_of_credit_that_it_was_taken_from(books: Books, start: datetime) -> None:
    person, payer = make_person(books, credit=0), make_customer(books, credit=1_000)
    ask(books, starting(person))
    _use(person, 40)
    _use(payer, 30)
    rates = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    other = make_model(books, "test/other-credit", {"portkey": rates})
    payer.credit(25, kind="promo", expires_at=books.now() + timedelta(days=1))
    # The promotion first, since it ends first, and what it does not pay from what was bought.
    _use(payer, 60, price_id=other["portkey"])
    told = _monitor(books, start, start + WINDOW)["traffic"]
    assert told["total"]["charged_nanos"] == 130
    assert told["total"]["charged_by_credit"] == {"trial": 40, "purchase": 65, "promo": 25}
    by_model = {model["model_id"]: model["charged_by_credit"] for model in told["models"]}
    assert by_model == {MODEL: {"trial": 40, "purchase": 30}, "test/other-credit": {"purchase": 35, "promo": 25}}


def test_a_window_with_more_requests_than_are_added_up_at_once_is_refused(own_ledger: Books) -> None:
    books, customer = own_ledger, make_customer(own_ledger, credit=1_000)
    books.rows(BOUND)
    for _ in range(3):
        _use(customer, 1)
    assert _monitor(books)["traffic"]["total"]["requests"] == 3
    _use(customer, 1)
    answer = books.call("read_monitor", admin=OPERATOR, **{"from": None, "to": None})
    assert refusal(answer) == (400, "window_too_large", {"limit": 3})


def test_percentiles_are_those_of_the_requests_that_were_answered(books: Books, start: datetime) -> None:
    customer = make_customer(books, credit=10_000)
    for number in range(1, 101):
        _use(customer, 1, facts={"duration_ms": number * 10, "first_byte_ms": number})
    for _ in range(50):
        _use(customer, 1, outcome="failed", facts={"duration_ms": 99_999})
    told = _told(books, start)
    assert told["duration_ms"] == {"count": 100, "p50": 505, "p90": 901, "p95": 950, "p99": 990, "max": 1000}
    assert told["first_byte_ms"] == {"count": 100, "p50": 50, "p90": 90, "p95": 95, "p99": 99, "max": 100}


def test_models_are_told_by_how_much_they_are_asked_and_no_more_than_twenty(books: Books, start: datetime) -> None:
    customer = make_customer(books, credit=10_000)
    rates = {"input_tokens": 1_000_000, "output_tokens": 1_000_000}
    for number in range(25):
        prices = make_model(books, f"test/model-{number:02}", {"portkey": rates})
        for _ in range(1 + (number == 7)):
            _use(customer, 1, price_id=prices["portkey"])
    models = _monitor(books, start, start + WINDOW)["traffic"]["models"]
    assert len(models) == 20
    assert [(model["model_id"], model["requests"]) for model in models[:3]] == [
        ("test/model-07", 2), ("test/model-00", 1), ("test/model-01", 1),
    ]  # fmt: skip


def test_providers_are_told_by_every_attempt_and_not_blamed_for_what_clients_ask(books: Books, start: datetime) -> None:
    customer = make_customer(books, credit=1_000)
    _use(
        customer,
        1,
        facts={"attempts": [_attempt("chutes", 503), _attempt("chutes", None, reason="timeout"), _attempt()]},
    )
    _use(customer, 1, facts={"attempts": [_attempt(first_byte_ms=150)]})
    _use(customer, 1, outcome="failed", facts={"attempts": [_attempt("chutes", 400, fault=True)]})
    told = {each["provider"]: each for each in _monitor(books, start, start + WINDOW)["providers"]}
    assert {name: [told[name][part] for part in ("attempts", "successes", "failed", "refused")] for name in told} == {
        "chutes": [3, 0, 2, 1], "openrouter": [2, 2, 0, 0],
    }  # fmt: skip
    assert told["chutes"]["failures"] == {"503": 1, "timeout": 1, "400": 1}
    assert told["openrouter"]["failures"] == {}
    assert (told["openrouter"]["first_byte_ms"]["p50"], told["openrouter"]["first_byte_ms"]["max"]) == (100, 150)
    assert told["chutes"]["first_byte_ms"]["count"] == 0


def test_what_stands_open_is_told_as_it_is_now_whatever_the_window(own_ledger: Books) -> None:
    books, customer = own_ledger, make_customer(own_ledger, credit=1_000)
    customer.admitted(tokens=30)
    customer.admitted(tokens=20)
    books.rows("update gateway.holds set expires_at = clock_timestamp() where amount_nanos = 20")
    books.call("add_dead_letter", kind="late_settlement", subject="one", payload={}, reason="r", tries=1)
    books.call("add_dead_letter", kind="late_settlement", subject="two", payload={}, reason="r", tries=1)
    books.rows("update gateway.dead_letters set resolved_at = now() where subject = 'two'")
    debtor = make_customer(books, credit=100)
    debtor.settle(debtor.admitted(tokens=60), 60)
    debtor.credit(-100, kind="admin")
    now = _monitor(books)["now"]
    assert {name: now["holds"][name] for name in ("open", "amount_nanos", "overdue")} == {
        "open": 2, "amount_nanos": 50, "overdue": 1,
    }  # fmt: skip
    assert (now["dead_letters"], now["owed_nanos"]) == ({"late_settlement": 1}, 60)
    assert now["mails"]["waiting"] == books.value("select count(*) from gateway.outbox where state = 'waiting'")
    assert now["switches"]["is_inference_stopped"] is False


def test_who_came_and_began_a_trial_is_counted(books: Books, start: datetime) -> None:
    person = make_person(books)
    books.rows("update gateway.accounts set created_at = %s where id = %s", start, person.account_id)
    ask(books, starting(person))
    people = _monitor(books, start, start + WINDOW)["people"]
    assert (people["new_accounts"], people["trials_started"], people["purchases"]) == (1, 1, 0)
