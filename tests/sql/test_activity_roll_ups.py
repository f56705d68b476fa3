"""How closed days are summed: a little at a time, nobody waiting meanwhile."""

from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest

from tests.sql.books import Books, call, connect_as_service
from tests.sql.key_owners import make_key, make_owner, writer
from tests.sql.races import answer_of_the_second
from tests.sql.usage_days import READ_DAYS, reader, roll_up, usage, use

# As many seconds as a call may begin another day in: none, so that each call does one and leaves the rest.
NO_TIME = """
    create or replace function gateway.rolling_time() returns interval
    language sql immutable as $$ select interval '0' $$
"""
ENOUGH_TIME = NO_TIME.replace("'0'", "'3 seconds'")
INSERT_MODELS = """
    insert into gateway.usage_lines (
        generation_id, account_id, key_id, model_id, provider, price_id, quantities, usage_source, list_cost_nanos,
        cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, outcome, is_stream, is_late,
        attempts, created_at)
    select gen_random_uuid(), account_id, key_id, 'test/model-' || number, 'provider-' || number, price_id,
           quantities, usage_source, 1000 + number, 1000 + number, 1000 + number, 0, 0, 0, 'completed', is_stream,
           is_late, attempts, created_at - number * interval '1 day'
      from gateway.usage_lines, generate_series(1, %s) as number where account_id = %s
"""
COPY_LINE = """
    insert into gateway.usage_lines (
        generation_id, account_id, key_id, model_id, provider, price_id, quantities, usage_source, list_cost_nanos,
        cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, outcome, is_stream, is_late,
        attempts, created_at)
    select gen_random_uuid(), account_id, key_id, model_id, provider, price_id, quantities, usage_source,
           list_cost_nanos, cost_nanos, %s, 0, 0, 0, outcome, is_stream, is_late, attempts, %s
      from gateway.usage_lines where key_id = %s limit 1
"""


@pytest.fixture(autouse=True)
def noon(books: Books) -> None:
    """Each test has days of its own, and finds all before them rolled up."""
    later = (books.now() + timedelta(days=2)).date()
    books.set_time(datetime.fromisoformat(f"{later}T12:00:00+00:00"))
    roll_up(books)


def test_a_call_that_has_no_time_left_keeps_what_it_has_done(books: Books) -> None:
    assert books.value("select gateway.rolling_time() between interval '1 second' and interval '4 seconds'")
    first = books.now().date()
    customers = [reader(books) for _ in range(2)]
    for day in range(3):
        for customer in customers:
            use(customer, day + 1)
        # Of days without a request there is nothing to do.
        books.pass_time(days=40)
    assert books.call("close_usage_days")["count"] == 2
    window = (first, books.now().date())
    before = [usage(customer, *window) for customer in customers]
    books.rows(NO_TIME)
    try:
        for done in range(1, 7):
            assert books.call("roll_up_usage")["count"] == 1
            count = "select count(*) from gateway.usage_days where account_id = any (%s)"
            assert books.value(count, [customer.account_id for customer in customers]) == done
            assert [usage(customer, *window) for customer in customers] == before
        assert books.call("roll_up_usage")["count"] == 0
    finally:
        books.rows(ENOUGH_TIME)


def test_what_is_being_summed_keeps_no_wallet_waiting(books: Books) -> None:
    customer = reader(books)
    use(customer, 1)
    books.pass_time(days=1)
    roll_up(books)
    use(customer, 2)
    books.pass_time(days=1)
    with psycopg.connect(books.url) as session:
        session.execute(b"select from gateway.usage_roll_ups where account_id = %s for update", (customer.account_id,))
        # It would wait for as long as the days are summed, and every wallet that it has locked with it.
        with connect_as_service(books.url) as closer:
            closer.execute("set lock_timeout = '1s'")
            assert call(closer, "close_usage_days")["count"] == 0
    assert books.call("close_usage_days")["count"] == 1
    roll_up(books)
    assert [requests for _, requests, _ in books.rows(READ_DAYS, customer.account_id)] == [1, 1]


def test_of_models_and_providers_the_hundred_that_cost_most_are_told_and_every_day(books: Books) -> None:
    customer = reader(books)
    use(customer, 1)
    books.rows("alter table gateway.usage_lines drop constraint if exists usage_lines_generation_id_fkey")
    books.rows(INSERT_MODELS, 130, customer.account_id)
    today = books.now().date()
    parts = usage(customer, today - timedelta(days=200), today + timedelta(days=1))
    assert len(parts["day"]) == 131
    assert set(parts["model"]) == {f"test/model-{number}" for number in range(31, 131)}
    assert set(parts["provider"]) == {f"provider-{number}" for number in range(31, 131)}
    assert parts["total"][""]["requests"] == 131


def test_only_the_open_day_is_summed_while_the_key_is_locked(books: Books) -> None:
    key = make_key(make_owner(books), spend_limit_nanos=1000, spend_limit_period="day")
    key.owner.settle(key.owner.admitted(tokens=40, key_hmacs=[key.key_hmac]), 40)
    past = books.now()
    books.pass_time(days=2)
    books.rows("alter table gateway.usage_lines drop constraint if exists usage_lines_generation_id_fkey")
    books.rows("alter table gateway.usage_lines drop constraint if exists usage_lines_check")

    def write_lines(session: psycopg.Connection) -> None:
        session.execute(b"select from gateway.api_keys where id = %s for no key update", (key.id,))
        # No line of a day that is over is written any more: whoever saw this one has summed that day under the lock.
        for charged, at in ((500, past), (7, books.now())):
            session.execute(COPY_LINE.encode(), (charged, at, key.id))

    def change(session: psycopg.Connection) -> Any:
        session.execute("set role service_role")
        changes = {"spend_limit_period": "total"}
        answer = call(session, "update_key", caller=writer(key.owner), key_id=key.id, changes=changes)
        session.commit()
        return answer

    assert answer_of_the_second(books, write_lines, change)["key"]["spent_nanos"] == 47
