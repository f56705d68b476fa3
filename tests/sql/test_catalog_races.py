"""Lists and admins change what is sold one after the other: neither takes back what the other has just done."""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from infra.local.stack import LocalStack
from tests.sql.admins import OPERATOR
from tests.sql.books import PROVIDER, Books, call, connect_as_service, own_books
from tests.sql.image_models import image_model
from tests.sql.listings import cost_of, listing, set_price, sync
from tests.sql.races import PATIENCE_S, answer_of_the_second, wait_until_waiting

READ_OFFER = """
    select (price.cost).input_tokens, (price.price).input_tokens, price_id, pending_price_id, is_price_overridden
      from gateway.provider_offers as offer join gateway.prices as price on price.id = offer.price_id
     where offer.model_id = 'a/b'
"""
Doer = Callable[[psycopg.Connection], Any]


@pytest.fixture
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    """A database of the test's own."""
    with own_books(ledger_stack) as books:
        yield books


def syncs(*listings: dict[str, Any]) -> Doer:
    return lambda session: call(session, "sync_listing", provider=PROVIDER, listings=Jsonb(list(listings)))


def changes(**asked: Any) -> Doer:
    return lambda session: call(session, "update_model", admin=OPERATOR, model_id="a/b", changes=asked)


def changes_offer(**asked: Any) -> Doer:
    return changes(offer={"provider": PROVIDER, **asked})


def test_a_price_that_is_set_while_a_list_is_synced_stays_set(books: Books) -> None:
    listed = listing("a/b", 100)
    sync(books, PROVIDER, listed)
    synced = answer_of_the_second(books, changes_offer(price=cost_of(7000)), syncs(listed))
    assert synced["unchanged"] == 1
    ((_, price, _, _, is_overridden),) = books.rows(READ_OFFER)
    assert (price, is_overridden) == (7_000_000_000, True)


def test_a_price_that_is_set_after_a_list_was_synced_has_the_lists_cost(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    answer_of_the_second(books, syncs(listing("a/b", 200)), changes_offer(price=cost_of(7000)))
    ((cost, price, *_),) = books.rows(READ_OFFER)
    assert (cost, price) == (200_000_000, 7_000_000_000)


def test_a_price_that_is_confirmed_while_a_list_is_synced_stays_confirmed(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 1))
    sync(books, PROVIDER, listing("a/b", 100))
    ((_, _, _, waiting, _),) = books.rows(READ_OFFER)
    synced = answer_of_the_second(books, changes_offer(confirm_price_id=waiting), syncs(listing("a/b", 100)))
    assert (synced["unchanged"], synced["pending"]) == (1, 0)
    assert books.rows(READ_OFFER) == [(100_000_000, 105_000_000, waiting, None, False)]


def test_a_price_that_is_published_while_another_is_set_is_what_it_costs(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    published = {"model_id": "a/b", "provider": PROVIDER, "upstream_model": "up", "cost": Jsonb(cost_of(150))}
    answer_of_the_second(
        books, changes_offer(price=cost_of(7000)), lambda session: call(session, "publish_offer", **published)
    )
    ((cost, price, *_, is_overridden),) = books.rows(READ_OFFER)
    assert (cost, price, is_overridden) == (150_000_000, 7_000_000_000, True)


def test_an_image_is_published_after_what_an_admin_is_changing(books: Books) -> None:
    image_model(books, "a/b")
    published = {
        "model_id": "a/b",
        "provider": PROVIDER,
        "upstream_model": "up",
        "size": "1024x1024",
        "quality": "high",
    }
    with ThreadPoolExecutor(1) as thread, psycopg.connect(books.url) as admin, psycopg.connect(books.url) as publisher:
        admin.execute("select gateway.lock_catalog()")
        answer = thread.submit(call, publisher, "publish_image_price", **published, cost_nanos_per_image=99)
        try:
            wait_until_waiting(books, 1)
            # It holds nothing meanwhile that a change needs.
            assert changes_offer(markup_ppm=1000)(admin)["verdict"] == "model"
        finally:
            admin.commit()
        assert answer.result(PATIENCE_S)["price_id"]


def test_a_model_that_is_named_while_a_list_describes_it_keeps_what_the_list_said(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    described = listing("a/b", 100, description="New.")
    answer = answer_of_the_second(books, syncs(described), changes(name="Ours"))
    assert (answer["model"]["name"], answer["model"]["description"]) == ("Ours", "New.")
    found = "select name, description, is_edited from gateway.models where id = 'a/b'"
    assert books.rows(found) == [("Ours", "New.", True)]


def test_a_list_and_an_admin_wait_for_each_other_in_one_order(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    both = changes(is_enabled=False, offer={"provider": PROVIDER, "is_enabled": False})

    def run(doer: Doer) -> Any:
        with connect_as_service(books.url) as session:
            return doer(session)

    with ThreadPoolExecutor(2) as threads:
        gate = psycopg.connect(books.url)
        try:
            gate.execute("select from gateway.models where id = 'a/b' for update")
            describing = threads.submit(run, syncs(listing("a/b", 100, description="New.")))
            wait_until_waiting(books, 1)
            changing = threads.submit(run, both)
            wait_until_waiting(books, 2)
        finally:
            gate.rollback()
            gate.close()
        assert describing.result(PATIENCE_S)["changed"] == 1
        assert changing.result(PATIENCE_S)["model"]["is_enabled"] is False


def test_a_set_price_outlives_every_list(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    set_price(books, "a/b", 7000)
    for cost in (100, 120, 140):
        sync(books, PROVIDER, listing("a/b", cost))
        assert books.rows(READ_OFFER)[0][:2] == (cost * 1_000_000, 7_000_000_000)


def test_lists_at_once_make_each_model_once(books: Books) -> None:
    providers = [PROVIDER, "chutes", "portkey", "featherless", PROVIDER, "chutes"]
    listings = [listing(f"race/m{number}", number + 1, names=[f"Race/{number}"]) for number in range(100)]
    answers: list[Any] = []

    def run(provider: str, order: int) -> None:
        session = connect_as_service(books.url)
        try:
            answers.append(call(session, "sync_listing", provider=provider, listings=Jsonb(listings[::order])))
        finally:
            session.close()

    threads = [
        threading.Thread(target=run, args=(slug, 1 if number % 2 else -1)) for number, slug in enumerate(providers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answer["added"] for answer in answers) == [0, 0, 100, 100, 100, 100]
    assert books.value("select count(*) from gateway.prices where model_id like 'race/%%'") == 400
