"""What is used most: summed by the hour, once, and ranked by period against as long before."""

from decimal import Decimal

import psycopg

from tests.sql.books import Books, call, connect_as_service
from tests.sql.ranked import ENOUGH_TIME, NO_TIME, START, empty, places, rank, sync, tokens_by_name, use

__all__ = ["empty"]


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


def test_shares_are_told_as_numbers_of_four_digits(books: Books) -> None:
    for number in range(3):
        use(books, f"a/{number}", 1)
    sync(books)
    assert {Decimal(str(place["share"])) for place in places(books)} == {Decimal("0.3333")}
