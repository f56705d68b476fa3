"""What an account used: a line a request, sums over days, and closed days that are summed once."""

import threading
from collections import Counter
from datetime import datetime, timedelta

import psycopg
import pytest

from tests.sql.books import MODEL, Books, call, connect_as_service
from tests.sql.customers import Customer, make_model, settlement
from tests.sql.pages import activity, activity_pages
from tests.sql.usage_days import READ_DAYS, reader, roll_up, usage, use

COPY_LINES = """
    insert into gateway.usage_lines (
        generation_id, account_id, key_id, model_id, provider, price_id, quantities, usage_source, list_cost_nanos,
        cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, outcome, is_stream, is_late,
        attempts, created_at)
    select gen_random_uuid(), account_id, key_id, model_id, provider, price_id, quantities, usage_source,
           list_cost_nanos, cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos,
           'completed', is_stream, is_late, attempts, created_at + number * interval '1 millisecond'
      from gateway.usage_lines, generate_series(1, %s) as number where account_id = %s
"""
OTHER_MODEL = "test/other"


@pytest.fixture(scope="module")
def priced_books(books: Books) -> Books:
    make_model(books, OTHER_MODEL, {"chutes": {"input_tokens": 2_000_000, "output_tokens": 2_000_000}})
    return books


@pytest.fixture(autouse=True)
def noon(books: Books) -> None:
    """Each test has days of its own, and finds all before them rolled up."""
    later = (books.now() + timedelta(days=2)).date()
    books.set_time(datetime.fromisoformat(f"{later}T12:00:00+00:00"))
    roll_up(books)


def test_a_line_tells_of_one_request(books: Books) -> None:
    customer = reader(books)
    generation_id = use(customer, 7)
    (line,) = activity(customer)["lines"]
    assert (line["generation_id"], line["model_id"], line["provider"]) == (str(generation_id), MODEL, "openrouter")
    assert (line["cost_nanos"], line["charged_nanos"], line["outcome"]) == (7, 7, "completed")
    assert (line["quantities"]["input_tokens"], line["quantities"]["output_tokens"]) == (7, 0)
    assert (line["first_byte_ms"], line["duration_ms"], line["is_stream"]) == (20, 90, False)
    assert (line["key_id"], line["key_name"].startswith("customer-")) == (customer.key_id, True)


def test_no_request_is_lost_or_read_twice_while_new_ones_arrive(books: Books) -> None:
    customer = reader(books)
    # Three at each moment: a page may end between two that have the same time.
    for number in range(24):
        use(customer, number + 1)
        books.pass_time(seconds=number % 3 == 0)
    before = {line["generation_id"] for line in activity(customer)["lines"]}
    read: list[str] = []
    for page in activity_pages(customer, 5):
        read += [line["generation_id"] for line in page]
        books.pass_time(seconds=1)
        use(customer, 1)
    assert len(before) == 24
    assert Counter(read) == Counter(before)


def test_requests_are_chosen_by_model_provider_key_and_outcome(priced_books: Books) -> None:
    customer = reader(priced_books)
    other = priced_books.value("select price_id from gateway.provider_offers where model_id = %s", OTHER_MODEL)
    use(customer, 1)
    use(customer, 2, outcome="interrupted")
    use(customer, 3, price_id=other)
    chosen: dict[str, tuple[dict[str, object], list[int]]] = {
        "model": ({"model_id": OTHER_MODEL}, [3]),
        "provider": ({"provider": "openrouter"}, [2, 1]),
        "outcome": ({"outcome": "interrupted"}, [2]),
        "key": ({"key_id": customer.key_id}, [3, 2, 1]),
        "another's key": ({"key_id": customer.key_id + 1}, []),
        "both": ({"model_id": MODEL, "outcome": "completed"}, [1]),
    }
    for name, (asked, tokens) in chosen.items():
        pages = activity_pages(customer, 1, **asked)
        lines = [line["quantities"]["input_tokens"] for page in pages for line in page]
        assert sorted(lines, reverse=True) == tokens, name


def test_a_window_begins_at_from_and_ends_before_to(books: Books) -> None:
    customer = reader(books)
    start = books.now()
    for tokens in range(1, 9):
        use(customer, tokens)
        books.pass_time(minutes=1)
    window = {
        "from_at": (start + timedelta(minutes=2)).isoformat(),
        "to_at": (start + timedelta(minutes=5)).isoformat(),
    }
    lines = [line for page in activity_pages(customer, 2, **window) for line in page]
    assert [line["quantities"]["input_tokens"] for line in lines] == [5, 4, 3]


def test_another_accounts_requests_are_never_shown_or_summed(books: Books) -> None:
    mine, other = reader(books), reader(books)
    use(other, 5)
    today = books.now().date()
    assert activity(mine)["lines"] == []
    assert activity(mine, key_id=other.key_id)["lines"] == []
    assert usage(mine, today, today + timedelta(days=1))["total"][""]["requests"] == 0


def test_sums_are_the_same_before_and_after_days_are_rolled_up(priced_books: Books) -> None:
    customer = reader(priced_books)
    first = priced_books.now().date()
    other = priced_books.value("select price_id from gateway.provider_offers where model_id = %s", OTHER_MODEL)
    for day in range(5):
        for tokens in range(day + 1):
            use(customer, tokens + 1)
            use(customer, tokens + 1, price_id=other, outcome="failed")
        priced_books.pass_time(days=1)
    windows = [(first, first + timedelta(days=9)), (first + timedelta(days=1), first + timedelta(days=3))]
    before = [usage(customer, *window) for window in windows]
    assert roll_up(priced_books) == 1
    assert [usage(customer, *window) for window in windows] == before
    use(customer, 100)
    total = usage(customer, *windows[0])["total"][""]
    assert total["requests"] == before[0]["total"][""]["requests"] + 1 == 31
    assert total["failed_requests"] == 15
    days = usage(customer, *windows[0])["day"]
    assert [days[str(first + timedelta(days=day))]["requests"] for day in range(6)] == [2, 4, 6, 8, 10, 1]
    models = usage(customer, *windows[0])["model"]
    assert models[OTHER_MODEL]["cost_nanos"] == 2 * sum(sum(range(1, day + 2)) for day in range(5))
    assert set(usage(customer, *windows[0])["provider"]) == {"openrouter", "chutes"}
    assert set(usage(customer, *windows[0])["key"]) == {str(customer.key_id)}


def test_rolling_up_again_sums_nothing_twice(books: Books) -> None:
    customer = reader(books)
    use(customer, 3)
    books.pass_time(days=1)
    roll_up(books)
    days = books.rows(READ_DAYS, customer.account_id)
    assert [(requests, cost) for _, requests, cost in days] == [(1, 3)]
    assert roll_up(books) == 0
    assert books.rows(READ_DAYS, customer.account_id) == days


def test_two_roll_ups_at_once_sum_each_day_once(books: Books) -> None:
    customers = [reader(books) for _ in range(6)]
    for customer in customers:
        use(customer, 3)
    books.pass_time(days=1)
    sessions = [connect_as_service(books.url) for _ in range(4)]
    start = threading.Barrier(4)

    def run(session: psycopg.Connection) -> None:
        start.wait(10)
        for _ in range(8):
            call(session, "close_usage_days", limit=4)
            call(session, "roll_up_usage", limit=2)

    threads = [threading.Thread(target=run, args=(session,)) for session in sessions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    for session in sessions:
        session.close()
    for customer in customers:
        assert [(requests, cost) for _, requests, cost in books.rows(READ_DAYS, customer.account_id)] == [(1, 3)]


def test_a_settlement_that_is_under_way_over_midnight_is_not_lost(books: Books) -> None:
    customer = reader(books)
    first = books.now().date()
    use(customer, 1)
    slow = customer.admitted(tokens=5)
    with psycopg.connect(books.url) as session:
        session.execute("set role service_role")
        call(session, "settle", generation_id=slow, **settlement(books, 5))
        # It has its time, of the old day, and is not committed yet.
        books.pass_time(days=1)
        roll_up(books)
        assert books.rows(READ_DAYS, customer.account_id) == []
        session.commit()
    roll_up(books)
    assert [(requests, cost) for _, requests, cost in books.rows(READ_DAYS, customer.account_id)] == [(2, 6)]
    assert usage(customer, first, first + timedelta(days=2))["total"][""]["requests"] == 2


def test_a_late_settlement_counts_on_the_day_it_came(books: Books) -> None:
    customer = reader(books)
    first = books.now().date()
    late = customer.admitted(tokens=4, lifetime_s=60)
    books.pass_time(days=1)
    roll_up(books)
    assert customer.settle(late, 4)["is_late"] is True
    books.pass_time(days=1)
    roll_up(books)
    days = usage(customer, first, first + timedelta(days=3))["day"]
    assert {day: sums["requests"] for day, sums in days.items()} == {str(first + timedelta(days=1)): 1}


def test_a_day_is_not_closed_in_its_first_minutes(books: Books) -> None:
    customer = reader(books)
    use(customer, 4)
    midnight = books.now().replace(hour=0) + timedelta(days=1)
    books.set_time(midnight + timedelta(minutes=9))
    assert roll_up(books) == 0
    books.set_time(midnight + timedelta(minutes=11))
    assert roll_up(books) == 1


def test_what_is_rare_is_found_page_by_page_and_no_page_reads_without_end(books: Books) -> None:
    customer = reader(books)
    rare = use(customer, 9, outcome="failed")
    books.pass_time(seconds=1)
    _copy_lines(books, customer, 25_000)
    first = activity(customer, 5, outcome="failed")
    assert first["lines"] == []
    assert first["last_seen"] is not None
    pages = list(activity_pages(customer, 5, outcome="failed"))
    assert len(pages) == 3
    assert [line["generation_id"] for page in pages for line in page] == [str(rare)]


def _copy_lines(books: Books, customer: Customer, count: int) -> None:
    """Write lines as settlements would, without their holds."""
    books.rows("alter table gateway.usage_lines drop constraint if exists usage_lines_generation_id_fkey")
    books.rows(COPY_LINES, count, customer.account_id)
