"""Of a deleted account nothing says which apps it used."""

import uuid

import psycopg
import pytest

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer

APP = {"url": "https://jane-doe.example", "title": "Jane's"}
READ_APPS = "select count(*) from gateway.usage_lines where account_id = %s and request ? 'app'"
READ_HOURS = "select count(*) from gateway.app_hours where key_id = %s"
READ_PLACES = "select count(*) from gateway.rankings where subject = 'apps' and name = %s"
READ_REQUESTS = "select distinct request from gateway.usage_lines where account_id = %s"


@pytest.fixture(autouse=True)
def clean(books: Books) -> None:
    books.rows("delete from gateway.app_erasures")
    books.rows("delete from gateway.app_hours")


def use(customer: Customer, times: int = 1, app: dict[str, str] = APP) -> None:
    for _ in range(times):
        generation_id: uuid.UUID = customer.admitted(tokens=1)
        facts = {"outcome": "completed", "is_stream": False, "request": {"models": ["m"], "app": app}}
        assert customer.settle(generation_id, 1, facts=facts)["verdict"] == "settled"
        customer.books.pass_time(seconds=1)


def end(customer: Customer) -> None:
    books = customer.books
    books.rows("select gateway.erase_account(%s, %s)", customer.account_id, books.now())


def erase(books: Books, limit: int = 5000) -> int:
    total = 0
    while count := int(books.call("erase_apps", limit=limit)["count"]):
        total += count
    return total


def test_a_deleted_account_s_lines_lose_their_apps_a_part_at_a_time_and_nobody_else_s(books: Books) -> None:
    leaver, other = (make_customer(books, credit=1000) for _ in range(2))
    for customer in (leaver, other):
        customer.set_key(is_app_public=True)
        use(customer, 7)
    books.call("sum_usage_hours")
    assert erase(books) == 0
    end(leaver)
    assert books.call("erase_apps", limit=3)["count"] == 3
    assert books.value(READ_APPS, leaver.account_id) == 4
    assert erase(books, limit=3) == 4
    assert books.value(READ_APPS, leaver.account_id) == 0
    assert books.rows(READ_REQUESTS, leaver.account_id) == [({"models": ["m"]},)]
    assert books.value(READ_APPS, other.account_id) == 7
    keys = books.rows("select distinct key_id from gateway.app_hours")
    assert keys == [(other.key_id,)]
    assert books.broken_rules(leaver.account_id) == books.broken_rules(other.account_id) == []


def test_many_lines_of_one_moment_are_gone_through_together(books: Books) -> None:
    leaver = make_customer(books, credit=1000)
    use(leaver, 5)
    books.rows("update gateway.usage_lines set created_at = %s where account_id = %s", books.now(), leaver.account_id)
    end(leaver)
    assert books.call("erase_apps", limit=2)["count"] == 2
    assert books.value(READ_APPS, leaver.account_id) == 0


def test_what_was_under_way_when_the_account_ended_is_found_by_the_next_sweep_and_then_it_is_over(
    books: Books,
) -> None:
    leaver = make_customer(books, credit=1000)
    use(leaver)
    under_way = leaver.admitted(tokens=1)
    end(leaver)
    assert erase(books) == 1
    books.pass_time(seconds=5)
    facts = {"outcome": "completed", "is_stream": True, "request": {"app": APP}}
    assert leaver.settle(under_way, 1, facts=facts)["verdict"] == "settled"
    assert books.value(READ_APPS, leaver.account_id) == 1
    assert erase(books) == 1
    assert books.value(READ_APPS, leaver.account_id) == 0
    assert books.value("select count(*) from gateway.app_erasures") == 1
    books.pass_time(days=2)
    assert erase(books) == 0
    assert books.value("select count(*) from gateway.app_erasures") == 0


def test_an_hour_that_is_summed_while_an_account_is_erased_keeps_nothing_of_it(books: Books) -> None:
    leaver = make_customer(books, credit=1000)
    leaver.set_key(is_app_public=True)
    own = {"url": "https://someone.example", "title": "Someone's"}
    use(leaver, 2, own)
    with psycopg.connect(books.url) as summing:
        summing.execute("select api.sum_usage_hours()")
        end(leaver)
        assert erase(books) == 2
        summing.commit()
    assert books.value(READ_HOURS, leaver.key_id) == 1
    # Nobody reads it, and a day later it is gone.
    for period in ("day", "month"):
        books.call("rank_usage", subject="apps", period=period)
    assert books.value(READ_PLACES, own["url"]) == 0
    books.pass_time(days=2)
    assert erase(books) == 0
    assert books.value(READ_HOURS, leaver.key_id) == 0


def test_what_a_deleted_account_used_is_summed_of_models_and_not_of_apps(books: Books) -> None:
    leaver = make_customer(books, credit=1000)
    leaver.set_key(is_app_public=True)
    use(leaver)
    end(leaver)
    books.call("sum_usage_hours")
    assert books.value(READ_HOURS, leaver.key_id) == 0
