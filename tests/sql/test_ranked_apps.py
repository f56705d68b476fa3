"""Which apps are ranked: those of keys that let them be public, as long as they do, and no more than there may be."""

import pytest

from tests.sql.books import Books
from tests.sql.customers import make_customer
from tests.sql.ranked import APP, empty, make_spammer, places, public_key, rank, sync, tokens_by_name, use

__all__ = ["empty"]


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
