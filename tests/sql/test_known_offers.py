"""What is on offer of a model stays there, whatever else a list says that its name is; a fact of ours moves it."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest
from psycopg.types.json import Jsonb

from infra.local.stack import LocalStack
from shared.catalog.matching import CatalogBase, match_listings
from shared.providers.model_lists.listing import Cost, Listing
from tests.sql.books import PROVIDER, Books, own_books
from tests.sql.customers import make_customer
from tests.sql.listings import change_offer, cost_of, counts, offer_of, row_versions, sync

OTHER = "chutes"
UPSTREAM = "Q/Instruct-2507"
OLD, NEW = "q/instruct-2507", "q/2507"
READ_ALIAS = "select model_id, source from gateway.model_aliases where alias = %s"


@pytest.fixture
def books(ledger_stack: LocalStack) -> Iterator[Books]:
    """A database of the test's own."""
    with own_books(ledger_stack) as books:
        yield books


def entry(upstream_model: str, nanos_per_token: int = 100, *names: str) -> Listing:
    rate = cost_of(nanos_per_token)["input_tokens"]
    return Listing(
        upstream_model=upstream_model,
        model_id=upstream_model.lower(),
        name=upstream_model,
        other_names=names,
        context_length=1000,
        max_output_tokens=100,
        input_modalities=("text",),
        cost=Cost(input_tokens=rate, output_tokens=rate),
    )


def read(books: Books, provider: str, *entries: Listing) -> dict[str, int]:
    """Have a provider's list matched and synced, as the job does."""
    base = msgspec.convert(books.call("read_catalog_base", provider=provider), CatalogBase)
    matched = match_listings(entries, base, is_canonical=provider == PROVIDER)
    return counts(sync(books, provider, *msgspec.to_builtins(list(matched.offered))))


def say(books: Books, provider: str, **aliases: str) -> None:
    facts = [
        {"kind": "alias", "key": key, "fact": model_id, "source": "https://x.example", "read_on": "2026-11-01"}
        for key, model_id in aliases.items()
    ]
    books.call("put_catalog_facts", provider=provider, facts=Jsonb(facts))


def asked(books: Books, model: str) -> Any:
    answer = make_customer(books, credit=10**9).admit(models=[model], tokens=10)
    return answer.get("code") or [(offer["model_id"], offer["provider"]) for offer in answer["offers"]]


def test_a_model_that_one_list_had_first_is_served_under_its_id_when_another_has_its_name(books: Books) -> None:
    assert read(books, OTHER, entry(UPSTREAM)) == {"added": 1}
    assert read(books, PROVIDER, entry(NEW, 100, UPSTREAM)) == {"added": 1}
    assert read(books, OTHER, entry(UPSTREAM)) == {"unchanged": 1}
    assert asked(books, OLD) == asked(books, UPSTREAM) == [(OLD, OTHER)]
    assert asked(books, NEW) == [(NEW, PROVIDER)]
    before = row_versions(books)
    read(books, PROVIDER, entry(NEW, 100, UPSTREAM))
    read(books, OTHER, entry(UPSTREAM))
    assert row_versions(books) == before


def test_what_is_set_of_an_offer_stays_when_another_list_has_its_name(books: Books) -> None:
    read(books, OTHER, entry(UPSTREAM))
    change_offer(books, OLD, provider=OTHER, is_enabled=False, price=cost_of(9999))
    read(books, PROVIDER, entry(NEW, 100, UPSTREAM))
    assert read(books, OTHER, entry(UPSTREAM)) == {"unchanged": 1}
    assert (asked(books, OLD), asked(books, NEW)) == ("no_provider_available", [(NEW, PROVIDER)])


@pytest.mark.parametrize("is_gone_between", [False, True])
def test_no_price_jumps_by_another_id(books: Books, is_gone_between: bool) -> None:
    others = [entry("X/One"), entry("X/Two")]
    read(books, OTHER, entry(UPSTREAM, 1000), *others)
    if is_gone_between:
        assert read(books, OTHER, *others) == {"retired": 1, "unchanged": 2}
    read(books, PROVIDER, entry(NEW, 1000, UPSTREAM))
    assert read(books, OTHER, entry(UPSTREAM, 1), *others)["pending"] == 1
    assert offer_of(books, OLD, OTHER) == (UPSTREAM, 1000, 1, is_gone_between)
    assert books.rows("select from gateway.provider_offers where model_id = %s and provider = %s", NEW, OTHER) == []


def test_a_fact_of_ours_moves_an_offer_and_its_name(books: Books) -> None:
    read(books, OTHER, entry(UPSTREAM))
    read(books, PROVIDER, entry(NEW, 100, UPSTREAM))
    say(books, OTHER, **{UPSTREAM: NEW})
    assert read(books, OTHER, entry(UPSTREAM)) == {"added": 1, "retired": 1}
    assert asked(books, UPSTREAM) == [(NEW, OTHER), (NEW, PROVIDER)]
    assert books.rows(READ_ALIAS, UPSTREAM) == [(NEW, "infra/catalog")]
    # Where the fact is taken away, the offer is where it is by now.
    say(books, OTHER)
    read(books, OTHER, entry(UPSTREAM))
    assert books.rows(READ_ALIAS, UPSTREAM) == [(NEW, OTHER)]


def test_a_name_that_a_fact_gives_is_no_lists_to_take(books: Books) -> None:
    say(books, OTHER, **{UPSTREAM: "q/ours"})
    canonical = [entry("q/ours"), entry("q/else", 100, UPSTREAM)]
    read(books, OTHER, entry(UPSTREAM))
    read(books, PROVIDER, *canonical)
    read(books, OTHER, entry(UPSTREAM))
    assert books.rows(READ_ALIAS, UPSTREAM) == [("q/ours", "infra/catalog")]
    assert asked(books, UPSTREAM) == [("q/ours", OTHER), ("q/ours", PROVIDER)]
    before = row_versions(books)
    read(books, PROVIDER, *canonical)
    read(books, OTHER, entry(UPSTREAM))
    assert row_versions(books) == before


def test_a_name_that_a_list_has_is_taken_by_a_fact(books: Books) -> None:
    read(books, PROVIDER, entry("q/ours"), entry("q/else", 100, UPSTREAM))
    say(books, OTHER, **{UPSTREAM: "q/ours"})
    read(books, OTHER, entry(UPSTREAM))
    assert books.rows(READ_ALIAS, UPSTREAM) == [("q/ours", "infra/catalog")]


def test_of_two_facts_that_differ_the_first_one_holds(books: Books) -> None:
    read(books, PROVIDER, entry("q/ours"), entry("q/else"))
    for provider, model_id in ((OTHER, "q/ours"), ("featherless", "q/else")):
        say(books, provider, **{UPSTREAM: model_id})
        read(books, provider, entry(UPSTREAM))
    before = row_versions(books)
    for provider in ("featherless", OTHER):
        read(books, provider, entry(UPSTREAM))
    assert row_versions(books) == before
    assert books.rows(READ_ALIAS, UPSTREAM) == [("q/ours", "infra/catalog")]
