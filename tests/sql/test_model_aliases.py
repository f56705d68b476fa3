"""Other names of a model: they lead to it, open no door, and are never the name of another."""

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
from psycopg.types.json import Jsonb

from infra.local.stack import LocalStack
from tests.sql.books import PROVIDER, Books, own_books
from tests.sql.customers import Customer, make_customer
from tests.sql.image_models import ask, image_model
from tests.sql.listings import counts, listing, row_versions, sync

OTHER = "chutes"
READ_ALIASES = "select alias, model_id from gateway.model_aliases where alias like %s order by alias"


@pytest.fixture
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    """A database of the test's own: a list that lacks what another test listed would wait."""
    with own_books(ledger_stack) as books:
        yield books


@pytest.fixture
def customer(books: Books) -> Customer:
    return make_customer(books, credit=10**9)


def served(customer: Customer, *models: str, **request: Any) -> list[str]:
    answer = customer.admit(models=list(models), tokens=10, **request)
    assert answer["verdict"] == "admitted", answer
    return [offer["model_id"] for offer in answer["offers"]]


def refusal_of(customer: Customer, model: str, **request: Any) -> tuple[str, Any]:
    answer = customer.admit(models=[model], tokens=10, **request)
    assert answer["verdict"] == "refused", answer
    return answer["code"], answer["numbers"]


def test_a_model_is_admitted_under_any_of_its_names_as_itself(books: Books, customer: Customer) -> None:
    sync(books, PROVIDER, listing("names/one", names=["Names/One", "names/one-2026"]))
    for name in ("names/one", "Names/One", "names/one-2026"):
        assert served(customer, name) == ["names/one"]
    assert refusal_of(customer, "NAMES/ONE") == ("model_not_found", {"model": "NAMES/ONE"})


def test_fallbacks_stay_in_the_callers_order(books: Books, customer: Customer) -> None:
    sync(books, PROVIDER, listing("order/a", names=["Order/A"]), listing("order/b", names=["Order/B"]))
    assert served(customer, "Order/B", "order/a") == ["order/b", "order/a"]
    assert served(customer, "nobody/knows", "Order/A") == ["order/a"]


def test_a_test_key_is_answered_inside_under_any_name(books: Books) -> None:
    sync(books, PROVIDER, listing("inside/a", names=["Inside/A"]))
    answer = make_customer(books, environment="test").admit(models=["Inside/A"], tokens=10)
    assert [(offer["model_id"], offer["provider"]) for offer in answer["offers"]] == [("inside/a", "simulated")]


def test_a_refusal_names_what_was_asked(books: Books, customer: Customer) -> None:
    sync(books, PROVIDER, listing("blind/a", names=["Blind/A"]))
    assert refusal_of(customer, "Blind/A", images=1) == ("images_not_supported", {"model": "Blind/A"})
    assert refusal_of(customer, "Blind/A", output="image")[1]["model"] == "Blind/A"
    books.rows("update gateway.models set is_enabled = false where id = 'blind/a'")
    assert refusal_of(customer, "Blind/A") == ("model_not_found", {"model": "Blind/A"})


def test_a_key_is_bound_to_models_and_not_to_their_names(books: Books, customer: Customer) -> None:
    sync(books, PROVIDER, listing("secret/a", names=["open/a"]), listing("open/b", names=["Else/B"]))
    customer.set_key(model_globs=["open/*"])
    assert refusal_of(customer, "open/a") == ("model_not_allowed", {"model": "open/a"})
    assert served(customer, "Else/B") == ["open/b"]


def test_an_alias_is_never_a_model(books: Books, customer: Customer) -> None:
    sync(books, PROVIDER, listing("taken/a"), listing("taken/b", names=["taken/a", "taken/new"]))
    assert books.rows(READ_ALIASES, "taken/%") == [("taken/new", "taken/b")]
    assert served(customer, "taken/a") == ["taken/a"]
    with pytest.raises(psycopg.errors.UniqueViolation):
        books.rows("insert into gateway.model_aliases (alias, model_id, source) values ('taken/a', 'taken/b', 'x')")
    # What becomes a model is no other's name any more.
    assert counts(sync(books, OTHER, listing("taken/new")))["added"] == 1
    assert books.rows(READ_ALIASES, "taken/%") == []
    assert served(customer, "taken/new") == ["taken/new"]


def test_a_list_changes_its_own_aliases_and_no_other_lists(books: Books) -> None:
    sync(books, PROVIDER, listing("moved/a", names=["Moved"]), listing("moved/b"))
    sync(books, OTHER, listing("moved/a"), listing("moved/b", names=["Moved"]))
    assert books.rows(READ_ALIASES, "Moved%") == [("Moved", "moved/a")]
    sync(books, PROVIDER, listing("moved/a"), listing("moved/b", names=["Moved"]))
    assert books.rows(READ_ALIASES, "Moved%") == [("Moved", "moved/b")]


def test_a_name_that_nothing_is_offered_under_is_whose_list_is_nearest_the_models(
    books: Books, customer: Customer
) -> None:
    described = listing("q/instruct-2507", names=["Q/Instruct-2507"])
    sync(books, OTHER, described)
    canonical = listing("q/2507", names=["Q/Instruct-2507"])
    sync(books, PROVIDER, canonical)
    assert books.rows(READ_ALIASES, "Q/%") == [("Q/Instruct-2507", "q/2507")]
    assert served(customer, "Q/Instruct-2507") == ["q/2507"]
    before = row_versions(books)
    sync(books, OTHER, described)
    sync(books, PROVIDER, canonical)
    assert row_versions(books) == before


def test_a_name_that_is_served_as_a_model_is_taken_to_no_other(books: Books, customer: Customer) -> None:
    first = listing("q/instruct-2507", upstream_model="Q/Instruct-2507", names=["Q/Instruct-2507"])
    canonical = listing("q/2507", names=["Q/Instruct-2507"])
    sync(books, OTHER, first)
    for provider, listed in ((PROVIDER, canonical), (OTHER, first)):
        sync(books, provider, listed)
        assert books.rows(READ_ALIASES, "Q/%") == [("Q/Instruct-2507", "q/instruct-2507")]
    assert served(customer, "Q/Instruct-2507") == served(customer, "q/instruct-2507") == ["q/instruct-2507"]
    # What is retired may come back.
    sync(books, OTHER, listing("q/another"))
    sync(books, PROVIDER, canonical)
    assert books.rows(READ_ALIASES, "Q/%") == [("Q/Instruct-2507", "q/instruct-2507")]


def test_a_name_that_somebody_of_ours_gave_is_no_lists_to_take(books: Books) -> None:
    sync(books, PROVIDER, listing("given/a"), listing("given/b"))
    books.rows("insert into gateway.model_aliases (alias, model_id, source) values ('Given', 'given/a', 'by hand')")
    sync(books, PROVIDER, listing("given/a"), listing("given/b", names=["Given"]))
    assert books.rows(READ_ALIASES, "Given") == [("Given", "given/a")]


def test_models_are_listed_with_their_names(books: Books) -> None:
    sync(books, PROVIDER, listing("told/a", names=["Told/A", "Told/2"]))
    (model,) = [model for model in books.call("list_models") if model["id"] == "told/a"]
    assert model["aliases"] == ["Told/2", "Told/A"]


def test_images_are_made_under_any_name(books: Books, customer: Customer) -> None:
    image_model(books, "draws/a")
    books.rows("insert into gateway.model_aliases (alias, model_id, source) values ('Draws/A', 'draws/a', 'x')")
    by_name, by_id = (ask(customer, model)["offers"] for model in ("Draws/A", "draws/a"))
    assert by_name == by_id
    assert (by_name[0]["model_id"], by_name[0]["image_size"]) == ("draws/a", "1024x1024")
    answer = ask(customer, "Draws/A", image_size="9x9")
    assert (answer["code"], answer["numbers"]["model"]) == ("image_variant_not_offered", "Draws/A")
    assert "1024x1024 high" in answer["numbers"]["offered"]


def test_what_stands_before_a_request_fits_its_model_whatever_it_is_called(books: Books) -> None:
    sync(books, PROVIDER, listing("told/a", names=["Told/A"], context_length=1000, max_output_tokens=100))
    turn = {"input_tokens": 200, "images": 0, "output_tokens": 50, "reasoning_output_tokens": 70}
    budgets = [
        books.value("select gateway.turn_budget(%s)", Jsonb({"models": models, **turn}))
        for models in (["told/a"], ["Told/A"], ["nobody/knows", "Told/A"])
    ]
    assert budgets == [750, 750, 750]
