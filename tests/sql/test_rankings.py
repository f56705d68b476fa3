"""What is used most: summed by the hour, once, and ranked by period against as long before."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from shared.ranking.types import PERIODS, SUBJECTS
from tests.sql.books import Books, call, connect_as_service
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
    for subject in SUBJECTS:
        for period in PERIODS:
            books.call("rank_usage", subject=subject, period=period)


def places(books: Books, period: str = "day", subject: str = "models", source: str = "gateway") -> list[dict[str, Any]]:
    ranking = books.call("read_ranking", source=source, subject=subject, period=period, limit=100, offset=0)
    assert ranking["total"] == len(ranking["places"])
    return list(ranking["places"])


def tokens_by_name(books: Books, *of: str) -> dict[str, int]:
    return {place["name"]: place["tokens"] for place in places(books, *of)}


def public_key(books: Books) -> tuple[int, int]:
    customer = make_customer(books)
    customer.set_key(is_app_public=True)
    customer.set_key(app_public_since=START - timedelta(days=60))
    return customer.account_id, customer.key_id


def make_spammer(books: Books, apps: int, hours: int = 1) -> tuple[int, int]:
    """Make a key that has named apps without end in each of the hours before this one, with titles without end."""
    key = public_key(books)
    books.rows(SPAM, *key, apps, hours)
    return key


def test_models_are_ranked_by_their_tokens_of_each_period(books: Books) -> None:
    for hours_ago, tokens in ((0.25, 1), (20, 10), (30, 100), (24 * 6, 1_000), (24 * 20, 10_000), (24 * 59, 100_000)):
        use(books, "a/one", tokens, hours_ago=hours_ago)
    use(books, "b/two", 50)
    sync(books)
    assert tokens_by_name(books, "day") == {"b/two": 50, "a/one": 11}
    assert tokens_by_name(books, "week") == {"a/one": 1_111, "b/two": 50}
    assert tokens_by_name(books, "month") == {"a/one": 11_111, "b/two": 50}
    first, second = places(books, "day")
    assert (first["rank"], first["name"], first["requests"], first["title"]) == (1, "b/two", 1, None)
    assert (second["rank"], second["name"], second["requests"]) == (2, "a/one", 2)
    assert (first["share"], second["share"]) == (0.8197, 0.1803)


def test_every_kind_of_token_counts_and_images_alone_are_ranked_by_their_requests(books: Books) -> None:
    use(books, "a/one", 7)
    books.rows("update gateway.usage_lines set quantities = row(1, 2, 4, 8, null, 1)::gateway.quantities")
    use(books, "b/image", 0)
    use(books, "b/image", 0)
    use(books, "c/image", 0)
    sync(books)
    assert [(place["name"], place["tokens"]) for place in places(books)] == [
        ("a/one", 15),
        ("b/image", 0),
        ("c/image", 0),
    ]


def test_the_trend_is_against_as_long_a_time_before(books: Books) -> None:
    # The hour under way is half over, so a day is 24.5 hours, and the 24 before it weigh that much more.
    for model, before, now in (("up", 480, 980), ("down", 960, 490), ("flat", 480, 490), ("new", 0, 10)):
        if before:
            use(books, model, before, hours_ago=30)
        use(books, model, now)
    sync(books)
    trends = {place["name"]: (place["trend_percent"], place["trend_direction"]) for place in places(books)}
    assert trends == {"up": (100.0, "up"), "down": (-50.0, "down"), "flat": (0.0, "flat"), "new": (None, "new")}


def test_the_trend_of_what_uses_no_tokens_is_that_of_its_requests(books: Books) -> None:
    for model, before, now in (("more", 2, 4), ("fewer", 4, 1), ("new", 0, 3)):
        for _ in range(before):
            use(books, model, 0, hours_ago=30)
        for _ in range(now):
            use(books, model, 0)
    sync(books)
    trends = {place["name"]: (place["trend_percent"], place["trend_direction"]) for place in places(books)}
    assert trends == {"more": (100.0, "up"), "fewer": (-75.0, "down"), "new": (None, "new")}


def test_a_model_that_was_used_only_before_is_not_ranked(books: Books) -> None:
    use(books, "a/old", 10, hours_ago=30)
    sync(books)
    assert places(books, "day") == []
    assert tokens_by_name(books, "week") == {"a/old": 10}


def test_what_nobody_paid_for_does_not_count(books: Books) -> None:
    use(books, "a/one", 5)
    use(books, "a/one", 100, waived_reason="no_answer")
    use(books, "simulated/echo", 100, provider="simulated")
    sync(books)
    assert tokens_by_name(books) == {"a/one": 5}


def test_each_hour_is_summed_once_and_the_one_under_way_each_time(books: Books) -> None:
    for hours_ago in (50, 49.9, 3, 0.25):
        use(books, "a/one", 1, hours_ago=hours_ago)
    assert sync(books) == 3
    assert sync(books) == 1
    use(books, "a/one", 1, hours_ago=0.01)
    sync(books)
    assert tokens_by_name(books, "week") == {"a/one": 5}
    books.pass_time(hours=2)
    # Of what was under way nothing is missing when it is over, and nothing counts twice.
    assert sync(books) == 1
    assert sync(books) == 0
    assert tokens_by_name(books, "week") == {"a/one": 5}


def test_a_line_that_comes_some_minutes_after_its_hour_still_counts(books: Books) -> None:
    use(books, "a/one", 1)
    books.set_time(START.replace(hour=13, minute=5))
    sync(books)
    use(books, "a/one", 10, hours_ago=0.2)
    books.set_time(START.replace(hour=13, minute=20))
    sync(books)
    assert tokens_by_name(books) == {"a/one": 11}
    # From here on the hour is final: what would come now is not looked for.
    use(books, "a/one", 100, hours_ago=0.5)
    sync(books)
    assert tokens_by_name(books) == {"a/one": 11}


def test_a_call_that_has_no_time_left_keeps_what_it_has_done(books: Books) -> None:
    for hours_ago in (1, 5, 24 * 30 - 10, 24 * 59):
        use(books, "a/one", 1, hours_ago=hours_ago)
    books.rows(NO_TIME)
    try:
        answers = [books.call("sum_usage_hours") for _ in range(4)]
        assert [answer["hours"] for answer in answers] == [1, 1, 1, 1]
        assert [answer["is_behind"] for answer in answers] == [True, True, True, False]
    finally:
        books.rows(ENOUGH_TIME)
    rank(books)
    assert tokens_by_name(books, "month") == {"a/one": 3}


def test_what_is_older_than_any_period_is_neither_summed_nor_kept(books: Books) -> None:
    use(books, "a/one", 1, hours_ago=24 * 70)
    assert sync(books) == 0
    use(books, "a/one", 1, hours_ago=24)
    sync(books)
    books.pass_time(days=90)
    sync(books)
    assert books.value("select count(*) from gateway.model_hours") == 0


def test_two_that_sum_and_rank_at_once_count_nothing_twice(books: Books) -> None:
    use(books, "a/one", 3)
    with psycopg.connect(books.url) as first, connect_as_service(books.url) as second:
        first.execute("set role service_role")
        assert call(first, "sum_usage_hours")["hours"] == 1
        assert call(first, "rank_usage", subject="models", period="day")["count"] == 1
        second.execute("set lock_timeout = '1s'")
        assert call(second, "sum_usage_hours") == {"hours": 0, "is_behind": False}
        assert call(second, "rank_usage", subject="models", period="day")["count"] == 0
    assert tokens_by_name(books) == {"a/one": 3}


def test_an_app_is_ranked_only_of_keys_that_let_it_be_public(books: Books) -> None:
    customer = make_customer(books)
    use(books, "a/one", 100, key=(customer.account_id, customer.key_id), app=APP)
    use(books, "a/one", 5, key=public_key(books), app=APP)
    use(books, "a/one", 7, key=public_key(books), app=APP)
    use(books, "a/one", 50, key=public_key(books))
    sync(books)
    (place,) = places(books, "day", "apps")
    assert (place["name"], place["title"], place["tokens"], place["requests"]) == (APP["url"], "An App", 12, 2)
    assert place["share"] == 1


def test_a_key_that_takes_it_back_takes_back_what_was_summed(books: Books) -> None:
    key = public_key(books)
    use(books, "a/one", 5, key=key, app=APP, hours_ago=20)
    sync(books)
    assert tokens_by_name(books, "day", "apps") == {APP["url"]: 5}
    books.rows("update gateway.api_keys set is_app_public = false where id = %s", key[1])
    sync(books)
    assert places(books, "day", "apps") == []


def test_what_was_asked_before_a_key_let_its_apps_be_public_stays_unnamed(books: Books) -> None:
    customer = make_customer(books)
    key = (customer.account_id, customer.key_id)
    for hours_ago in (3, 0.4):
        use(books, "a/one", 100, hours_ago=hours_ago, key=key, app=APP)
    customer.set_key(is_app_public=True)
    books.pass_time(minutes=10)
    use(books, "a/one", 5, hours_ago=0.05, key=key, app=APP)
    sync(books)
    assert tokens_by_name(books, "day", "apps") == {APP["url"]: 5}
    # Nor does what a key has taken back return with what it allows anew.
    customer.set_key(is_app_public=False)
    books.pass_time(hours=2)
    customer.set_key(is_app_public=True)
    sync(books)
    assert places(books, "day", "apps") == []


def test_an_app_of_a_key_that_is_revoked_is_not_shown(books: Books) -> None:
    key = public_key(books)
    use(books, "a/one", 5, key=key, app=APP)
    sync(books)
    books.rows("update gateway.api_keys set revoked_at = gateway.clock() where id = %s", key[1])
    sync(books)
    assert places(books, "day", "apps") == []


@pytest.mark.parametrize("status", ["suspended", "deleted"])
def test_an_app_of_an_account_that_is_not_in_force_is_not_shown(books: Books, status: str) -> None:
    key = public_key(books)
    use(books, "a/one", 5, key=key, app=APP)
    at = books.now() if status == "deleted" else None
    books.rows("update gateway.accounts set status = %s, deleted_at = %s where id = %s", status, at, key[0])
    sync(books)
    assert places(books, "day", "apps") == []
    assert tokens_by_name(books) == {"a/one": 5}


def test_of_several_titles_the_one_that_was_used_most_is_shown(books: Books) -> None:
    key = public_key(books)
    for title, tokens in (("Old", 5), ("New", 9), (None, 100)):
        use(books, "a/one", tokens, key=key, app={"url": APP["url"], **({"title": title} if title else {})})
    sync(books)
    (place,) = places(books, "day", "apps")
    assert (place["title"], place["tokens"]) == ("New", 114)


def test_two_accounts_that_title_an_app_differently_leave_it_without_a_title(books: Books) -> None:
    owner, other = public_key(books), public_key(books)
    use(books, "a/one", 5, key=owner, app=APP)
    use(books, "a/one", 7, key=other, app=APP)
    sync(books)
    assert places(books, "day", "apps")[0]["title"] == "An App"
    use(books, "a/one", 100, key=other, app={**APP, "title": "Something else"})
    sync(books)
    (place,) = places(books, "day", "apps")
    assert (place["title"], place["tokens"]) == (None, 112)
    # Whoever names none takes none away.
    books.rows("update gateway.api_keys set is_app_public = false where id = %s", other[1])
    use(books, "a/one", 100, key=public_key(books), app={"url": APP["url"]})
    sync(books)
    assert places(books, "day", "apps")[0]["title"] == "An App"


def test_whoever_names_a_new_app_with_each_request_is_counted_with_twenty_an_hour(books: Books) -> None:
    use(books, "a/one", 1, hours_ago=1, key=public_key(books), app=APP)
    spammer = make_spammer(books, apps=300, hours=2)
    sync(books)
    kept = books.rows(
        "select hour, count(*), min(tokens) from gateway.app_hours where key_id = %s group by hour", spammer[1]
    )
    assert [(count, tokens) for _, count, tokens in kept] == [(20, 281), (20, 281)]
    assert len(places(books, "day", "apps")) == 21
    # Of what is used most nothing is lost.
    assert places(books, "day", "apps")[0]["name"] == "https://a300.example"


def test_many_titles_of_one_app_are_one_row_an_hour_with_the_one_that_was_used_most(books: Books) -> None:
    key = public_key(books)
    for number in range(1, 31):
        use(books, "a/one", number, key=key, app={"url": APP["url"], "title": f"Title {number}"})
    sync(books)
    assert books.rows("select title, requests from gateway.app_hours") == [("Title 30", 30)]


def test_many_keys_that_name_apps_without_end_are_counted_with_a_thousand_an_hour(books: Books) -> None:
    for _ in range(60):
        make_spammer(books, apps=21)
    sync(books)
    assert books.rows("select count(*), min(tokens) from gateway.app_hours group by hour") == [(1000, 5)]


def test_a_ranking_has_a_thousand_places_and_its_shares_are_of_all(books: Books) -> None:
    key = public_key(books)
    books.rows("""
        insert into gateway.app_hours (hour, key_id, url, requests, tokens)
        select date_trunc('hour', gateway.clock()), key_id, 'https://' || number || '.example', 1, 1
          from (select %s::bigint as key_id) as spammer, generate_series(1, 2000) as number
    """, key[1])  # fmt: skip
    books.rows("update gateway.usage_hours_summed set next_hour = gateway.clock() + interval '1 hour'")
    rank(books)
    ranking = books.call("read_ranking", source="gateway", subject="apps", period="day", limit=100, offset=0)
    assert (ranking["total"], ranking["places"][0]["share"]) == (1000, 0.0005)


def test_pages_of_a_ranking_follow_each_other(books: Books) -> None:
    for number in range(25):
        use(books, f"a/{number:02}", 100 - number)
    sync(books)
    read: list[str] = []
    for offset in (0, 10, 20, 30):
        page = books.call("read_ranking", source="gateway", subject="models", period="day", limit=10, offset=offset)
        assert page["total"] == 25
        read += [place["name"] for place in page["places"]]
    assert read == [f"a/{number:02}" for number in range(25)]


def told(*rows: tuple[str, str, int]) -> Jsonb:
    return Jsonb([{"day": day, "model_id": model, "tokens": tokens} for day, model, tokens in rows])


def take_over(books: Books, *rows: tuple[str, str, int]) -> int:
    as_of = "2030-03-01T02:00:00+00:00"
    return int(books.call("import_model_days", source="openrouter", days=told(*rows), as_of=as_of)["count"])


IMPORTED = (
    ("2030-02-28", "x/one", 300),
    ("2030-02-28", "x/two", 100),
    ("2030-02-28", "other", 600),
    ("2030-02-27", "x/one", 200),
    ("2030-02-27", "other", 900),
    ("2030-02-20", "x/three", 5),
)


def test_what_is_imported_is_ranked_by_itself_and_what_is_not_told_apart_has_no_place(books: Books) -> None:
    use(books, "a/one", 5)
    sync(books)
    assert take_over(books, *IMPORTED) == len(IMPORTED)
    one, two = places(books, "day", "models", "openrouter")
    assert (one["name"], one["tokens"], one["requests"], one["share"]) == ("x/one", 300, None, 0.3)
    assert (one["trend_percent"], one["trend_direction"]) == (50.0, "up")
    assert (two["name"], two["trend_direction"]) == ("x/two", "new")
    assert tokens_by_name(books, "week", "models", "openrouter") == {"x/one": 500, "x/two": 100}
    assert tokens_by_name(books, "month", "models", "openrouter") == {"x/one": 500, "x/two": 100, "x/three": 5}
    assert tokens_by_name(books) == {"a/one": 5}
    sync(books)
    assert tokens_by_name(books, "day", "models", "openrouter") == {"x/one": 300, "x/two": 100}


def test_the_same_import_again_changes_no_row_and_a_corrected_day_is_corrected(books: Books) -> None:
    take_over(books, *IMPORTED)
    versions = books.rows("select xmin, day, model_id from gateway.imported_model_days order by 2, 3")
    take_over(books, *IMPORTED)
    assert books.rows("select xmin, day, model_id from gateway.imported_model_days order by 2, 3") == versions
    take_over(books, ("2030-02-28", "x/one", 301))
    assert tokens_by_name(books, "day", "models", "openrouter") == {"x/one": 301, "x/two": 100}


def test_imported_days_of_before_all_periods_are_let_go(books: Books) -> None:
    take_over(books, ("2029-12-01", "x/one", 1), ("2030-02-28", "x/one", 1))
    assert books.value("select count(*) from gateway.imported_model_days") == 1


def test_an_import_that_tells_nothing_changes_nothing(books: Books) -> None:
    take_over(books, *IMPORTED)
    assert take_over(books) == 0
    assert tokens_by_name(books, "day", "models", "openrouter") == {"x/one": 300, "x/two": 100}


def test_shares_are_told_as_numbers_of_four_digits(books: Books) -> None:
    for number in range(3):
        use(books, f"a/{number}", 1)
    sync(books)
    assert {Decimal(str(place["share"])) for place in places(books)} == {Decimal("0.3333")}
