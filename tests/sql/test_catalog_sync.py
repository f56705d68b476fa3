"""A provider's list becomes models, offers and prices: nothing twice, nothing lost, nothing of ours overwritten."""

import uuid
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from infra.local.stack import LocalStack
from tests.sql.books import PROVIDER, Books, own_books
from tests.sql.customers import make_customer
from tests.sql.image_models import ask, image_model, publish, refusal
from tests.sql.listings import change_offer, cost_of, counts, listing, offer_of, row_versions, sync

OTHER = "chutes"
READ_MODEL = """
    select name, context_length, max_output_tokens, supported_parameters, described_by from gateway.models where id = %s
"""
READ_PRICES = "select count(*) from gateway.prices where model_id = %s"


@pytest.fixture
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    """A database of the test's own, without what the seed offers."""
    with own_books(ledger_stack) as books:
        yield books


def admitted_by(books: Books, model: str, tokens: int = 10, **request: Any) -> list[tuple[str, int]]:
    """Return who may serve a request, and what it costs there at most."""
    answer = make_customer(books, credit=10**9).admit(models=[model], tokens=tokens, **request)
    assert answer["verdict"] == "admitted", answer
    return [(offer["provider"], offer["quote_nanos"]) for offer in answer["offers"]]


def refusal_of(books: Books, model: str) -> str:
    answer = make_customer(books, credit=10**9).admit(models=[model], tokens=10)
    assert answer["verdict"] == "refused", answer
    return str(answer["code"])


def test_what_is_listed_is_offered_with_the_providers_markup(books: Books) -> None:
    assert counts(sync(books, PROVIDER, listing("a/b", 100), listing("a/c", 200))) == {"added": 2}
    assert admitted_by(books, "a/b") == [(PROVIDER, 1050)]
    assert offer_of(books, "a/c", PROVIDER) == ("up/a/c", 200, None, False)
    assert books.rows(READ_MODEL, "a/b") == [("A/B", 1000, 100, ["tools"], PROVIDER)]


def test_the_same_list_again_writes_no_row(books: Books) -> None:
    listings = [listing(f"many/m{number}", number + 1, names=[f"Many/M{number}"]) for number in range(50)]
    listings[3] |= {"long_from_tokens": 100, "long_cost": cost_of(9)}
    assert counts(sync(books, PROVIDER, *listings)) == {"added": 50}
    before = row_versions(books)
    assert counts(sync(books, PROVIDER, *reversed(listings))) == {"unchanged": 50}
    assert row_versions(books) == before


def test_a_changed_price_is_a_new_version_and_the_old_one_stays(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    assert counts(sync(books, PROVIDER, listing("a/b", 150))) == {"changed": 1}
    assert admitted_by(books, "a/b") == [(PROVIDER, 1575)]
    assert books.value(READ_PRICES, "a/b") == 2


@pytest.mark.parametrize("jumped", [1001, 9, 0])
def test_a_price_that_jumps_waits_and_the_old_one_counts(books: Books, jumped: int) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    assert counts(sync(books, PROVIDER, listing("a/b", jumped))) == {"changed": 1, "pending": 1}
    assert offer_of(books, "a/b", PROVIDER) == ("up/a/b", 100, jumped, False)
    before = row_versions(books)
    assert counts(sync(books, PROVIDER, listing("a/b", jumped))) == {"unchanged": 1, "pending": 1}
    assert row_versions(books) == before
    assert counts(sync(books, PROVIDER, listing("a/b", 100))) == {"changed": 1}
    assert offer_of(books, "a/b", PROVIDER) == ("up/a/b", 100, None, False)


def test_a_price_that_waits_is_put_in_force_by_whoever_looked_at_it(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    sync(books, PROVIDER, listing("a/b", 5000))
    pending = books.value("select pending_price_id from gateway.provider_offers where model_id = 'a/b'")
    change_offer(books, "a/b", confirm_price_id=pending)
    assert counts(sync(books, PROVIDER, listing("a/b", 5000))) == {"unchanged": 1}
    assert offer_of(books, "a/b", PROVIDER) == ("up/a/b", 5000, None, False)


def test_what_vanished_is_retired_not_deleted_and_comes_back(books: Books) -> None:
    three = [listing(f"a/{name}", 100) for name in "bcd"]
    sync(books, PROVIDER, *three)
    assert counts(sync(books, PROVIDER, *three[:2])) == {"retired": 1, "unchanged": 2}
    assert offer_of(books, "a/d", PROVIDER) == ("up/a/d", 100, None, True)
    assert refusal_of(books, "a/d") == "no_provider_available"
    assert "a/d" not in [model["id"] for model in books.call("list_models")]
    before = row_versions(books)
    assert counts(sync(books, PROVIDER, *three[:2])) == {"unchanged": 2}
    assert row_versions(books) == before
    assert counts(sync(books, PROVIDER, *three)) == {"returned": 1, "unchanged": 2}
    assert admitted_by(books, "a/d") == [(PROVIDER, 1050)]


def test_a_list_that_lost_more_than_half_changes_nothing_until_someone_has_looked(books: Books) -> None:
    four = [listing(f"a/{name}", 100) for name in "bcde"]
    sync(books, PROVIDER, *four)
    waiting = {"verdict": "waiting", "listed": 2, "missing": 3, "offered": 4, "added": 1}
    shrunk = [listing("a/b", 200), listing("a/new", 100)]
    before = row_versions(books)
    assert sync(books, PROVIDER, *shrunk) == waiting
    assert {name for name, rows in row_versions(books).items() if rows != before[name]} == {"providers"}
    before = row_versions(books)
    assert sync(books, PROVIDER, *shrunk) == waiting
    assert row_versions(books) == before
    assert sync(books, PROVIDER)["verdict"] == "waiting"
    books.rows("update gateway.providers set may_shrink = true where slug = %s", PROVIDER)
    assert counts(sync(books, PROVIDER, *shrunk)) == {"added": 1, "changed": 1, "retired": 3}
    assert books.rows("select may_shrink, waiting from gateway.providers where slug = %s", PROVIDER) == [(False, None)]


def test_half_of_a_list_may_vanish(books: Books) -> None:
    four = [listing(f"a/{name}", 100) for name in "bcde"]
    sync(books, PROVIDER, *four)
    assert counts(sync(books, PROVIDER, *four[:2])) == {"retired": 2, "unchanged": 2}


def test_what_someone_of_ours_has_set_is_not_overwritten(books: Books) -> None:
    sync(books, PROVIDER, *(listing(f"a/{name}", 100) for name in "bcd"))
    books.rows("update gateway.provider_offers set is_price_overridden = true where model_id = 'a/b'")
    books.rows("update gateway.provider_offers set is_enabled = false where model_id = 'a/c'")
    books.rows("update gateway.models set is_edited = true, name = 'Ours' where id = 'a/d'")
    changed = [listing(f"a/{name}", 200, name="Theirs") for name in "bcd"]
    assert counts(sync(books, PROVIDER, *changed)) == {"changed": 3}
    assert admitted_by(books, "a/b") == [(PROVIDER, 1050)]
    assert refusal_of(books, "a/c") == "no_provider_available"
    assert books.value("select name from gateway.models where id = 'a/d'") == "Ours"
    before = row_versions(books)
    assert counts(sync(books, PROVIDER, *changed)) == {"unchanged": 3}
    assert row_versions(books) == before


def test_an_offer_made_by_hand_is_no_lists_to_retire(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b"), listing("a/c"))
    assert offer_of(books, "openai/gpt-5-mini", PROVIDER)[3] is False
    assert admitted_by(books, "openai/gpt-5-mini", providers=[PROVIDER])


def test_a_markup_of_the_offer_or_of_the_provider_is_a_new_version(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100), listing("a/c", 100))
    books.rows("update gateway.provider_offers set markup_ppm = 1000000 where model_id = 'a/b'")
    books.rows("update gateway.providers set markup_ppm = 0 where slug = %s", PROVIDER)
    assert counts(sync(books, PROVIDER, listing("a/b", 100), listing("a/c", 100))) == {"changed": 2}
    assert (admitted_by(books, "a/b"), admitted_by(books, "a/c")) == ([(PROVIDER, 2000)], [(PROVIDER, 1000)])


def test_a_model_at_two_providers_is_one_model_described_by_the_better_of_them(books: Books) -> None:
    sync(books, OTHER, listing("a/b", 90, name="Other", context_length=500, max_output_tokens=50))
    assert books.rows(READ_MODEL, "a/b") == [("Other", 500, 50, ["tools"], OTHER)]
    sync(books, PROVIDER, listing("a/b", 100))
    assert counts(sync(books, OTHER, listing("a/b", 90, name="Other again", context_length=500))) == {"changed": 1}
    assert books.rows(READ_MODEL, "a/b") == [("A/B", 1000, 100, ["tools"], PROVIDER)]
    offers = make_customer(books, credit=10**9).admit(models=["a/b"], tokens=10)["offers"]
    assert [(offer["provider"], offer["context_length"]) for offer in offers] == [(OTHER, 500), (PROVIDER, 1000)]


def test_a_list_of_names_alone_describes_nothing(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    bare = listing("a/b", 90, context_length=None, max_output_tokens=None, input_modalities=None)
    assert counts(sync(books, OTHER, bare)) == {"added": 1}
    assert books.rows(READ_MODEL, "a/b") == [("A/B", 1000, 100, ["tools"], PROVIDER)]


def test_a_disabled_provider_serves_nothing(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100))
    sync(books, OTHER, listing("a/b", 90))
    books.rows("update gateway.providers set is_enabled = false where slug = %s", OTHER)
    assert admitted_by(books, "a/b") == [(PROVIDER, 1050)]
    (model,) = [model for model in books.call("list_models") if model["id"] == "a/b"]
    assert [offer["provider"] for offer in model["offers"]] == [PROVIDER]


def test_images_go_where_they_are_taken(books: Books) -> None:
    sees = {"input_modalities": ["text", "image"], "image_input_tokens": 5}
    sync(books, PROVIDER, listing("a/b", 100, **sees))
    sync(books, OTHER, listing("a/b", 90))
    assert admitted_by(books, "a/b", images=2) == [(PROVIDER, 2100)]
    assert [provider for provider, _ in admitted_by(books, "a/b")] == [OTHER, PROVIDER]


@pytest.mark.parametrize(
    "leaves",
    [
        "update gateway.providers set is_enabled = false where slug = %s",
        "update gateway.provider_offers set retired_at = now() where provider = %s",
        "update gateway.provider_offers set is_enabled = false where provider = %s",
    ],
)
def test_who_sells_no_more_makes_no_images_and_says_not_what_a_request_means(books: Books, leaves: str) -> None:
    model = image_model(books, "a/draws")
    image_model(books, model, provider=OTHER, times=2)
    publish(books, model, "1024x1024", "high", 334, provider=OTHER, is_default=True, is_confirmed=True)
    customer = make_customer(books, credit=10**9)
    meant = [(offer["provider"], offer["image_quality"]) for offer in ask(customer, model)["offers"]]
    assert meant == [(PROVIDER, "medium"), (OTHER, "medium")]
    books.rows(leaves, PROVIDER)
    assert [(offer["provider"], offer["image_quality"]) for offer in ask(customer, model)["offers"]] == [
        (OTHER, "high")
    ]
    books.rows(leaves, OTHER)
    assert refusal(customer, model)[1] == "no_provider_available"


def test_a_long_prompt_has_its_own_price_from_its_first_token_on(books: Books) -> None:
    tiered = listing("a/b", 100, long_from_tokens=50, long_cost=cost_of(200))
    sync(books, PROVIDER, tiered)
    assert admitted_by(books, "a/b", tokens=49) == [(PROVIDER, 49 * 105)]
    assert admitted_by(books, "a/b", tokens=50) == [(PROVIDER, 50 * 210)]
    dearer = tiered | {"long_cost": cost_of(300)}
    assert counts(sync(books, PROVIDER, dearer)) == {"changed": 1}
    assert admitted_by(books, "a/b", tokens=50) == [(PROVIDER, 50 * 315)]
    jumped = tiered | {"long_cost": cost_of(5000)}
    assert counts(sync(books, PROVIDER, jumped)) == {"changed": 1, "pending": 1}
    assert admitted_by(books, "a/b", tokens=50) == [(PROVIDER, 50 * 315)]
    assert counts(sync(books, PROVIDER, listing("a/b", 100))) == {"changed": 1}
    assert admitted_by(books, "a/b", tokens=50) == [(PROVIDER, 50 * 105)]


@pytest.mark.parametrize(
    ("used", "charged", "cost"),
    [
        ({"input_tokens": 49}, 49 * 105, 49 * 100),
        ({"input_tokens": 50}, 50 * 210, 50 * 200),
        ({"input_tokens": 20, "cached_input_tokens": 20, "cache_write_tokens": 10}, 50 * 210, 50 * 200),
        ({"input_tokens": 9, "cached_input_tokens": 20, "cache_write_tokens": 20}, 49 * 105, 49 * 100),
        # What is written does not make the prompt long.
        ({"input_tokens": 40, "output_tokens": 20}, 60 * 105, 60 * 100),
    ],
)
def test_a_long_prompts_price_is_held_where_it_may_be_long_and_charged_where_it_was(
    books: Books, used: dict[str, int], charged: int, cost: int
) -> None:
    sync(books, PROVIDER, listing("a/b", 100, long_from_tokens=50, long_cost=cost_of(200)))
    customer = make_customer(books, credit=10**9)
    (offer,) = customer.admit(models=["a/b"], tokens=60, output_tokens=20)["offers"]
    assert offer["quote_nanos"] == 80 * 210
    held = books.value("select id from gateway.holds where account_id = %s", customer.account_id)
    for _ in range(2):
        settled = customer.settle(held, 0, quantities=used, price_id=offer["price_id"])
        assert (settled["cost_nanos"], settled["provider_cost_nanos"]) == (charged, cost)
    assert books.broken_rules(customer.account_id) == []


def test_a_hold_grows_at_the_price_that_it_is_held_at(books: Books) -> None:
    sync(books, PROVIDER, listing("a/b", 100, long_from_tokens=50, long_cost=cost_of(200)))
    customer = make_customer(books, credit=10**9)
    for tokens, rate in ((49, 105), (50, 210)):
        generation_id = uuid.uuid4()
        answer = customer.admit(models=["a/b"], tokens=tokens, output_tokens=10, generation_id=generation_id)
        (offer,) = answer["offers"]
        grown = {"input_tokens": tokens, "output_tokens": 30}
        extended = books.call("extend_hold", generation_id=generation_id, price_id=offer["price_id"], quantities=grown)
        assert (offer["quote_nanos"], extended["amount_nanos"]) == ((tokens + 10) * rate, (tokens + 30) * rate)
        settled = customer.settle(generation_id, 0, quantities=grown, price_id=offer["price_id"])
        assert (settled["cost_nanos"], settled["shortfall_nanos"]) == ((tokens + 30) * rate, 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {"cost": None},
        {"cost": {"input_tokens": 1}},
        {"cost": cost_of(1) | {"ouput_tokens": 1}},
        {"cost": cost_of(1) | {"images": -1}},
        {"cost": cost_of(1) | {"images": 10**18 + 1}},
        {"long_from_tokens": 10, "long_cost": None},
        {"model_id": "with spaces"},
        {"context_length": 0},
    ],
)
def test_a_list_that_the_store_cannot_take_changes_nothing(books: Books, wrong: dict[str, Any]) -> None:
    before = row_versions(books)
    with pytest.raises(psycopg.Error):
        sync(books, PROVIDER, listing("a/ok"), {**listing("a/b"), **wrong})
    assert row_versions(books) == before
