"""A price that somebody has set stays; what it costs us follows the provider's list, so that the margin is right."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from infra.local.stack import LocalStack
from tests.sql.books import NANO_PER_TOKEN, PROVIDER, Books, own_books
from tests.sql.customers import make_customer
from tests.sql.image_models import image_model, publish
from tests.sql.key_owners import refusal
from tests.sql.listings import change_offer, cost_of, counts, listing, offer_of, row_versions, set_price, sync


@pytest.fixture
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    """A database of the test's own."""
    with own_books(ledger_stack) as books:
        yield books


def per_token(offer: Any, which: str = "price") -> tuple[int, int]:
    """Return what a token costs us and the customer, by the price in force or the one that waits."""
    version = offer[which]
    return version["cost"]["input_tokens"] // NANO_PER_TOKEN, version["price"]["input_tokens"] // NANO_PER_TOKEN


def long_per_token(offer: Any, which: str = "price") -> tuple[int, int, int]:
    """Return how long a prompt is long, and what a token of one costs us and the customer."""
    long = offer[which]["long_context"]
    rates = (long[part]["input_tokens"] // NANO_PER_TOKEN for part in ("cost", "price"))
    return long["from_tokens"], *rates


def shown(books: Books, model_id: str) -> Any:
    return change_offer(books, model_id, is_enabled=True)


def charged(books: Books, model_id: str, tokens: int) -> tuple[int, int]:
    """Return what a request takes of its customer, and what of us."""
    customer = make_customer(books, credit=10**9)
    (offer,) = customer.admit(models=[model_id], tokens=tokens)["offers"]
    held = books.value("select id from gateway.holds where account_id = %s", customer.account_id)
    settled = customer.settle(held, tokens, price_id=offer["price_id"])
    assert books.broken_rules(customer.account_id) == []
    return settled["cost_nanos"], settled["provider_cost_nanos"]


def test_the_cost_behind_a_set_price_is_the_lists(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    set_price(books, "a/b", 200)
    dearer = listing("a/b", 900)
    assert counts(sync(books, PROVIDER, dearer)) == {"changed": 1}
    assert charged(books, "a/b", 10) == (2000, 9000)
    before = row_versions(books)
    assert counts(sync(books, PROVIDER, dearer)) == {"unchanged": 1}
    assert row_versions(books) == before


def test_a_cost_that_jumps_behind_a_set_price_waits_for_somebody(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    set_price(books, "a/b", 200)
    jumped = listing("a/b", 1001)
    assert counts(sync(books, PROVIDER, jumped)) == {"changed": 1, "pending": 1}
    assert counts(sync(books, PROVIDER, jumped)) == {"unchanged": 1, "pending": 1}
    offer = shown(books, "a/b")
    assert (per_token(offer), per_token(offer, "pending_price")) == ((100, 200), (1001, 200))
    offer = change_offer(books, "a/b", confirm_price_id=offer["pending_price"]["id"])
    assert (per_token(offer), offer["is_price_overridden"]) == ((1001, 200), True)
    assert counts(sync(books, PROVIDER, jumped)) == {"unchanged": 1}


def test_a_price_that_is_set_confirms_no_cost_that_waits(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    sync(books, PROVIDER, listing("a/b", 5000))
    offer = set_price(books, "a/b", 200)
    assert (per_token(offer), per_token(offer, "pending_price")) == ((100, 200), (5000, 200))
    assert counts(sync(books, PROVIDER, listing("a/b", 5000))) == {"unchanged": 1, "pending": 1}


def test_a_set_price_holds_for_prompts_of_every_length_and_their_cost_is_known(books: Books) -> None:
    tiered = listing("a/b", 100, long_from_tokens=50, long_cost=cost_of(200))
    sync(books, PROVIDER, tiered)
    set_price(books, "a/b", 150)
    assert counts(sync(books, PROVIDER, tiered)) == {"unchanged": 1}
    assert (charged(books, "a/b", 49), charged(books, "a/b", 50)) == ((49 * 150, 49 * 100), (50 * 150, 50 * 200))
    (model,) = [model for model in books.call("list_models") if model["id"] == "a/b"]
    assert [offer["long_context"] for offer in model["offers"]] == [None]
    assert counts(sync(books, PROVIDER, tiered | {"long_cost": cost_of(300)})) == {"changed": 1}
    assert charged(books, "a/b", 50) == (50 * 150, 50 * 300)


def test_a_price_that_is_lifted_is_the_cost_of_now_and_its_markup(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    set_price(books, "a/b", 7000)
    sync(books, PROVIDER, listing("a/b", 200))
    assert per_token(change_offer(books, "a/b", price=None)) == (200, 210)
    assert counts(sync(books, PROVIDER, listing("a/b", 200))) == {"unchanged": 1}


def test_what_a_set_price_does_not_name_is_not_given_away(books: Books) -> None:
    sees = {"input_modalities": ["text", "image"], "image_input_tokens": 10}
    sync(books, PROVIDER, listing("a/b", 100, cost=cost_of(100, images=5000), **sees))
    offer = set_price(books, "a/b", 200)
    assert offer["price"]["price"]["images"] == 5250 * NANO_PER_TOKEN
    sync(books, PROVIDER, listing("a/b", 100, cost=cost_of(100, images=6000), **sees))
    offer = shown(books, "a/b")
    assert (offer["price"]["price"]["images"], per_token(offer)) == (6300 * NANO_PER_TOKEN, (100, 200))
    assert change_offer(books, "a/b", markup_ppm=0)["price"]["price"]["images"] == 6000 * NANO_PER_TOKEN


def test_what_is_published_by_hand_is_the_cost_behind_a_set_price(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    set_price(books, "a/b", 7000)
    published = {"model_id": "a/b", "provider": PROVIDER, "upstream_model": "up"}
    for cost in (120, 120):
        books.call("publish_offer", **published, cost=Jsonb(cost_of(cost)), markup_ppm=50_000)
        assert per_token(shown(books, "a/b")) == (120, 7000)
    assert books.value("select count(*) from gateway.prices where model_id = 'a/b'") == 3


def test_a_price_is_confirmed_as_it_was_looked_at_or_not_at_all(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100), listing("a/c", 100))
    sync(books, PROVIDER, listing("a/b", 5000), listing("a/c", 100))
    looked_at = shown(books, "a/b")["pending_price"]["id"]
    offer = change_offer(books, "a/b", markup_ppm=500_000)
    assert per_token(offer, "pending_price") == (5000, 7500)
    assert refusal(change_offer(books, "a/b", confirm_price_id=looked_at))[:2] == (409, "price_not_pending")
    for another in ({"markup_ppm": 0}, {"price": cost_of(1)}):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            change_offer(books, "a/b", confirm_price_id=offer["pending_price"]["id"], **another)
    now = offer["pending_price"]["id"]
    offer = change_offer(books, "a/b", confirm_price_id=now)
    assert (offer["price"]["id"], per_token(offer), offer["pending_price"]) == (now, (5000, 7500), None)
    assert counts(sync(books, PROVIDER, listing("a/b", 5000), listing("a/c", 100))) == {"unchanged": 2}
    assert offer_of(books, "a/b", PROVIDER) == ("up/a/b", 5000, None, False)


def test_what_an_image_costs_is_confirmed_as_it_was_looked_at_and_nothing_else_moves(books: Books) -> None:
    model = image_model(books, "a/draws")
    publish(books, model, "1024x1024", "medium", 42, markup_ppm=300_000)
    looked_at = publish(books, model, "1024x1024", "medium", 42_000, markup_ppm=300_000)["pending_price_id"]

    def marked_up(offer: Any) -> dict[tuple[str, str], tuple[int, int]]:
        return {
            (each["size"], each["quality"]): (each["price"]["markup_ppm"], each["price"]["price"]["images"])
            for each in offer["images"]
        }

    before = marked_up(shown(books, model))
    offer = change_offer(books, model, confirm_price_id=looked_at)
    assert marked_up(offer) == {**before, ("1024x1024", "medium"): (300_000, 54_600 * NANO_PER_TOKEN)}
    assert looked_at in [each["price"]["id"] for each in offer["images"]]
    waiting = publish(books, model, "1024x1024", "high", 167_000)["pending_price_id"]
    offer = change_offer(books, model, markup_ppm=100_000)
    assert {markup for markup, _ in marked_up(offer).values()} == {100_000}
    assert refusal(change_offer(books, model, confirm_price_id=waiting))[:2] == (409, "price_not_pending")


def test_what_a_long_prompt_costs_is_shown_where_it_is_in_force_and_where_it_waits(books: Books) -> None:
    tiered = {"long_from_tokens": 500, "long_cost": cost_of(200)}
    sync(books, PROVIDER, listing("a/b", 100, **tiered), listing("a/plain", 100))
    sync(books, PROVIDER, listing("a/b", 100, **{**tiered, "long_cost": cost_of(20_000)}), listing("a/plain", 100))
    offer = shown(books, "a/b")
    assert per_token(offer) == per_token(offer, "pending_price") == (100, 105)
    assert [long_per_token(offer, which) for which in ("price", "pending_price")] == [
        (500, 200, 210),
        (500, 20_000, 21_000),
    ]
    assert shown(books, "a/plain")["price"]["long_context"] is None
    set_price(books, "a/b", 7)
    assert long_per_token(shown(books, "a/b")) == (500, 200, 7)
