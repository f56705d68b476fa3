"""Usage lines as a ranking reads them, and what the job makes of them, in a usage of the test's own."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from psycopg.types.json import Jsonb

from shared.ranking.types import PERIODS, SUBJECTS
from tests.sql.books import Books
from tests.sql.customers import make_customer

APP = {"url": "https://app.example", "title": "An App"}
INSERT_LINE = """
    insert into gateway.usage_lines (
        generation_id, account_id, key_id, model_id, provider, price_id, quantities, usage_source, list_cost_nanos,
        cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, outcome, is_stream, is_late,
        attempts, request, waived_reason, created_at)
    values (gen_random_uuid(), %(account_id)s, %(key_id)s, %(model)s, %(provider)s, 1,
            row(%(tokens)s, null, null, null, null, 1)::gateway.quantities, 'provider', 0, 0, 0, 0, 0, 0, 'completed',
            false, false, '[]', %(request)s, %(waived_reason)s, %(at)s)
"""
SPAM = """
    insert into gateway.usage_lines (
        generation_id, account_id, key_id, model_id, provider, price_id, quantities, usage_source, list_cost_nanos,
        cost_nanos, charged_nanos, shortfall_nanos, provider_cost_nanos, cost_excess_nanos, outcome, is_stream, is_late,
        attempts, request, created_at)
    select gen_random_uuid(), key.account_id, key.id, 'a/one', 'openrouter', 1,
           row(number, null, null, null, null, 1)::gateway.quantities, 'provider', 0, 0, 0, 0, 0, 0, 'completed', false,
           false, '[]', jsonb_build_object('app', jsonb_build_object(
               'url', 'https://a' || number || '.example', 'title', 'Title ' || number)),
           date_trunc('hour', gateway.clock()) - hour * interval '1 hour' + interval '1 minute'
      from (select %s::bigint as account_id, %s::bigint as id) as key, generate_series(1, %s) as number,
           generate_series(1, %s) as hour
"""
START = datetime(2030, 3, 1, 12, 30, tzinfo=UTC)
NO_TIME = """
    create or replace function gateway.rolling_time() returns interval
    language sql immutable as $$ select interval '0' $$
"""
ENOUGH_TIME = NO_TIME.replace("'0'", "'3 seconds'")


@pytest.fixture(autouse=True)
def empty(books: Books) -> None:
    """Each test has a usage of its own."""
    books.rows("alter table gateway.usage_lines drop constraint if exists usage_lines_generation_id_fkey")
    for table in ("usage_lines", "model_hours", "app_hours", "rankings", "imported_model_days"):
        books.rows(f"delete from gateway.{table}")  # names of our own
    books.rows("update gateway.usage_hours_summed set next_hour = '-infinity'")
    books.set_time(START)


def use(books: Books, model: str, tokens: int, *, hours_ago: float = 0.25, **other: Any) -> None:
    """Write a usage line; app: what its request named, key: (account, key) of whoever asked."""
    account_id, key_id = other.pop("key", (1, 1))
    app = other.pop("app", None)
    line = {
        "account_id": account_id,
        "key_id": key_id,
        "model": model,
        "tokens": tokens,
        "provider": "openrouter",
        "waived_reason": None,
        "request": None if app is None else Jsonb({"models": [model], "app": app}),
        "at": books.now() - timedelta(hours=hours_ago),
        **other,
    }
    books.owner.execute(INSERT_LINE.encode(), line)


def sync(books: Books) -> int:
    """Run the job's calls; return how many hours were summed."""
    hours = 0
    while True:
        summed = books.call("sum_usage_hours")
        hours += int(summed["hours"])
        if not summed["is_behind"]:
            break
    rank(books)
    return hours


def rank(books: Books) -> None:
    """Write all of our rankings down."""
    for subject in SUBJECTS:
        for period in PERIODS:
            books.call("rank_usage", subject=subject, period=period)


def places(books: Books, period: str = "day", subject: str = "models", source: str = "gateway") -> list[dict[str, Any]]:
    """Return the places of one ranking."""
    ranking = books.call("read_ranking", source=source, subject=subject, period=period, limit=100, offset=0)
    assert ranking["total"] == len(ranking["places"])
    return list(ranking["places"])


def tokens_by_name(books: Books, *of: str) -> dict[str, int]:
    """Return the tokens of one ranking by what used them."""
    return {place["name"]: place["tokens"] for place in places(books, *of)}


def public_key(books: Books) -> tuple[int, int]:
    """Make a key that has let its apps be public all the time; return its account and itself."""
    customer = make_customer(books)
    customer.set_key(is_app_public=True)
    customer.set_key(app_public_since=START - timedelta(days=60))
    return customer.account_id, customer.key_id


def make_spammer(books: Books, apps: int, hours: int = 1) -> tuple[int, int]:
    """Make a key that has named apps without end in each of the hours before this one, with titles without end."""
    key = public_key(books)
    books.rows(SPAM, *key, apps, hours)
    return key
