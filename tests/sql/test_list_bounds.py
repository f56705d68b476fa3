"""How far a list is believed: what comes back at another price, what grows or shrinks too much, what is ours alone."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.sql.admins import OPERATOR
from tests.sql.books import PROVIDER, Books, own_books
from tests.sql.customers import make_customer
from tests.sql.key_owners import refusal
from tests.sql.listings import change_offer, counts, listing, offer_of, row_versions, sync

KEPT = [listing("a/c", 1), listing("a/d", 1)]


@pytest.fixture
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    """A database of the test's own."""
    with own_books(ledger_stack) as books:
        yield books


def many(count: int, prefix: str = "many/m") -> list[dict[str, Any]]:
    return [listing(f"{prefix}{number}", 1) for number in range(count)]


def is_served(books: Books, model: str) -> bool:
    return bool(make_customer(books, credit=10**9).admit(models=[model], tokens=10)["verdict"] == "admitted")


def waiting_price(books: Books, model: str) -> Any:
    return change_offer(books, model, is_enabled=True)["pending_price"]


def test_what_comes_back_at_a_price_that_jumped_is_served_once_somebody_has_looked(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 1), *KEPT)
    sync(books, PROVIDER, *KEPT)
    back = [listing("a/b", 100), *KEPT]
    assert counts(sync(books, PROVIDER, *back)) == {"changed": 1, "unchanged": 2, "pending": 1}
    assert (offer_of(books, "a/b", PROVIDER), is_served(books, "a/b")) == (("up/a/b", 1, 100, True), False)
    before = row_versions(books)
    assert counts(sync(books, PROVIDER, *back)) == {"unchanged": 3, "pending": 1}
    assert row_versions(books) == before
    change_offer(books, "a/b", confirm_price_id=waiting_price(books, "a/b")["id"])
    assert (offer_of(books, "a/b", PROVIDER), is_served(books, "a/b")) == (("up/a/b", 100, None, False), True)
    assert counts(sync(books, PROVIDER, *back)) == {"unchanged": 3}


def test_what_comes_back_as_it_was_is_served_whatever_was_listed_between(books: Books) -> None:
    for listed in ([listing("a/b", 1), *KEPT], KEPT, [listing("a/b", 100), *KEPT]):
        sync(books, PROVIDER, *listed)
    assert counts(sync(books, PROVIDER, listing("a/b", 1), *KEPT)) == {"returned": 1, "unchanged": 2}
    assert (offer_of(books, "a/b", PROVIDER), is_served(books, "a/b")) == (("up/a/b", 1, None, False), True)


@pytest.mark.parametrize("is_back", [True, False])
def test_a_price_of_what_is_listed_no_more_is_not_there_to_be_confirmed(books: Books, is_back: bool) -> None:
    sync(books, PROVIDER, listing("a/b", 1), *KEPT)
    if is_back:
        sync(books, PROVIDER, *KEPT)
    sync(books, PROVIDER, listing("a/b", 100), *KEPT)
    looked_at = waiting_price(books, "a/b")["id"]
    assert counts(sync(books, PROVIDER, *KEPT)) == {"retired": 1, "unchanged": 2}
    assert refusal(change_offer(books, "a/b", confirm_price_id=looked_at))[:2] == (409, "price_not_pending")
    assert is_served(books, "a/b") is False
    assert counts(sync(books, PROVIDER, *KEPT)) == {"unchanged": 2}


def test_a_list_that_grows_beyond_belief_changes_nothing_until_someone_has_looked(books: Books) -> None:
    # The first list of a provider is as long as it is.
    assert counts(sync(books, PROVIDER, *many(300))) == {"added": 300}
    assert counts(sync(books, PROVIDER, *many(600))) == {"added": 300, "unchanged": 300}
    grown, before = many(1201), row_versions(books)
    waiting = {"listed": 1201, "missing": 0, "offered": 600, "added": 601}
    for _ in range(2):
        assert sync(books, PROVIDER, *grown) == {"verdict": "waiting", **waiting}
        assert {name for name, rows in row_versions(books).items() if rows != before[name]} == {"providers"}
    sellers = books.call("list_sellers", admin=OPERATOR)["providers"]
    assert [seller["waiting"] for seller in sellers if seller["slug"] == PROVIDER] == [waiting]
    for flag in ("may_shrink", "may_grow"):
        books.call("update_seller", admin=OPERATOR, provider=PROVIDER, changes={flag: True})
        answer = sync(books, PROVIDER, *grown)
    assert counts(answer) == {"added": 601, "unchanged": 600}
    found = "select may_shrink, may_grow, waiting from gateway.providers where slug = %s"
    assert books.rows(found, PROVIDER) == [(False, False, None)]


def test_a_short_list_may_grow_to_many_times_its_length(books: Books) -> None:
    sync(books, PROVIDER, *many(1))
    assert counts(sync(books, PROVIDER, *many(201))) == {"added": 200, "unchanged": 1}
    # What was there before is nothing new.
    sync(books, PROVIDER, *many(201), *many(150, "other/m"))
    books.rows("update gateway.providers set may_shrink = true where slug = %s", PROVIDER)
    assert counts(sync(books, PROVIDER, *many(1))) == {"retired": 350, "unchanged": 1}
    again = sync(books, PROVIDER, *many(201), *many(150, "other/m"))
    assert counts(again) == {"returned": 350, "unchanged": 1}


def test_what_is_listed_under_another_id_is_neither_missing_nor_new(books: Books) -> None:
    named = [listing(f"own/m{number}", 1, upstream_model=f"Up/{number}") for number in range(300)]
    sync(books, PROVIDER, *named)
    renamed = [{**each, "model_id": each["model_id"].replace("own/", "canonical/")} for each in named]
    assert counts(sync(books, PROVIDER, *renamed)) == {"added": 300, "retired": 300}


def test_no_list_sells_what_test_keys_are_answered_with(books: Books) -> None:
    before = books.rows("select name, description, described_by from gateway.models where id = 'simulated/echo'")
    listed = [listing("a/b", 100), listing("simulated/echo", 100), listing("simulated/other", 100)]
    assert counts(sync(books, PROVIDER, *listed)) == {"added": 1}
    assert (
        books.rows("select name, description, described_by from gateway.models where id = 'simulated/echo'") == before
    )
    assert books.rows("select id from gateway.models where id = 'simulated/other'") == []


def test_a_test_key_is_answered_inside_whoever_offers_what_answers_it(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    books.rows(
        "insert into gateway.provider_offers (model_id, provider, upstream_model, price_id)"
        " select 'simulated/echo', provider, 'up', price_id from gateway.provider_offers where model_id = 'a/b'"
    )
    answer = make_customer(books, environment="test").admit(models=["a/b"], tokens=10)
    assert [(offer["provider"], offer["quote_nanos"]) for offer in answer["offers"]] == [("simulated", 0)]
