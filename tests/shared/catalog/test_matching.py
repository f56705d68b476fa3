"""Which model a listed one is, and whether and at what price it is offered."""

from typing import Any

import msgspec
import pytest

from shared.catalog.facts import Facts, ModelFact
from shared.catalog.matching import CatalogBase, Matched, OfferedModel, Withheld, find_model_id, match_listings
from shared.providers.model_lists.listing import Cost, Listing, LongContext

PRICE = Cost(input_tokens=10, output_tokens=20)
FREE = Cost(input_tokens=0, output_tokens=0)
NOTHING = CatalogBase(models={}, aliases={}, facts=Facts())


def listing(upstream_model: str = "Author/Model", **fields: Any) -> Listing:
    said: dict[str, Any] = {
        "upstream_model": upstream_model,
        "model_id": upstream_model.lower(),
        "name": "Model",
        "context_length": 1000,
        "max_output_tokens": 100,
        "input_modalities": ("text",),
        "cost": PRICE,
    }
    return Listing(**{**said, **fields})


def base(*models: str, aliases: dict[str, str] | None = None, **facts: Any) -> CatalogBase:
    return CatalogBase(models={model: model for model in models}, aliases=aliases or {}, facts=Facts(**facts))


def match(*listings: Listing, against: CatalogBase = NOTHING, is_canonical: bool = False) -> Matched:
    return match_listings(listings, against, is_canonical=is_canonical)


def the_one(matched: Matched) -> OfferedModel:
    (model,) = matched.offered
    assert matched.withheld == {}
    return model


@pytest.mark.parametrize(
    ("listed", "known", "found"),
    [
        (listing("Author/Model"), base("author/model"), "author/model"),
        (listing("Author/Model"), base("Author/Model", "author/model"), "Author/Model"),
        (listing("Author/Model"), base(aliases={"Author/Model": "other/model"}), "other/model"),
        (listing("Author/Model-TEE", other_names=("Author/Model",)), base(aliases={"Author/Model": "a/m"}), "a/m"),
        (listing("Author/Model"), base("author/model", alias={"Author/Model": "said/model"}), "said/model"),
        # Nobody knows it: it is a model of its own.
        (listing("Author/Model"), base("author/model-2", "author/mode"), "author/model"),
    ],
)
def test_a_model_is_known_by_its_names_and_else_is_its_own(listed: Listing, known: CatalogBase, found: str) -> None:
    assert find_model_id(listed, known) == found


def test_what_is_on_offer_stays_the_model_that_it_is_unless_a_fact_says_another() -> None:
    known = base("old/model", "new/model", aliases={"Author/Model": "new/model"})
    offered = msgspec.structs.replace(known, offers={"Author/Model": "old/model"})
    assert find_model_id(listing("Author/Model"), offered) == "old/model"
    said = msgspec.structs.replace(offered, facts=Facts(alias={"Author/Model": "new/model"}))
    assert find_model_id(listing("Author/Model"), said) == "new/model"
    assert the_one(match(listing("Author/Model"), against=offered, is_canonical=True)).model_id == "author/model"


def test_a_word_that_others_leave_away_is_left_away_where_the_models_name_has_it() -> None:
    instructed = CatalogBase(models={"a/small-8b": "A: Small 8B Instruct"}, aliases={}, facts=Facts())
    bare = CatalogBase(models={"a/small-8b": "A: Small 8B (base)"}, aliases={}, facts=Facts())
    assert find_model_id(listing("A/Small-8B-Instruct"), instructed) == "a/small-8b"
    assert find_model_id(listing("A/Small-8B-Instruct"), bare) == "a/small-8b-instruct"


def test_the_names_of_the_canonical_list_are_ids_whatever_is_known() -> None:
    known = base("other/model", aliases={"author/model": "other/model"})
    assert the_one(match(listing("author/model"), against=known, is_canonical=True)).model_id == "author/model"


def test_one_model_that_is_listed_twice_is_offered_once_at_the_lower_price() -> None:
    dear = listing("Author/Model-TEE", model_id="author/model", cost=Cost(input_tokens=10, output_tokens=21))
    for order in (1, -1):
        matched = match(*(dear, listing("Author/Model"))[::order])
        assert [model.upstream_model for model in matched.offered] == ["Author/Model"]
        assert matched.withheld == {Withheld.DOUBLE: 1}


def test_a_name_that_several_go_by_is_nobodys() -> None:
    shared = (listing("A/One", other_names=("A/Both", "A/First")), listing("A/Two", other_names=("A/Both",)))
    names = {model.model_id: model.names for model in match(*shared).offered}
    assert names == {"a/one": ("A/One", "A/First"), "a/two": ("A/Two",)}


def test_an_id_is_no_other_name_of_itself() -> None:
    assert the_one(match(listing("author/model"))).names == ()


def test_a_listed_price_counts_before_one_that_is_said_elsewhere() -> None:
    known = base(price={"Author/Model": Cost(input_tokens=1, output_tokens=1)})
    assert the_one(match(listing(), against=known)).cost == PRICE
    assert the_one(match(listing(cost=None), against=known)).cost == Cost(input_tokens=1, output_tokens=1)
    by_class = base(price={"8b": Cost(input_tokens=2, output_tokens=2)})
    assert the_one(match(listing(cost=None, priced_as="8b"), against=by_class)).cost.input_tokens == 2


@pytest.mark.parametrize(
    "cost",
    [
        None,
        FREE,
        Cost(input_tokens=0, output_tokens=0, images=0, requests=0),
        # What it writes would be for nothing.
        Cost(input_tokens=10, output_tokens=0),
        Cost(input_tokens=0, output_tokens=0, requests=10),
    ],
)
def test_what_has_no_price_is_not_given_away(cost: Cost | None) -> None:
    assert match(listing(cost=cost)).withheld == {Withheld.UNPRICED: 1}
    assert match(listing(cost=cost)).offered == ()


def test_what_is_called_free_is_free() -> None:
    assert the_one(match(listing("a/b:free", cost=FREE, is_free_on_purpose=True))).cost == FREE


def test_what_makes_vectors_takes_nothing_for_text() -> None:
    cost = Cost(input_tokens=10, output_tokens=0)
    assert the_one(match(listing(cost=cost, output_modalities=("embeddings",)))).cost == cost
    assert match(listing(cost=FREE, output_modalities=("embeddings",))).withheld == {Withheld.UNPRICED: 1}


@pytest.mark.parametrize("name", ["simulated/echo", "simulated/other", "Simulated/Echo"])
def test_what_test_keys_are_answered_with_is_nobodys_to_sell(name: str) -> None:
    known = base("simulated/echo", "author/model", aliases={"Author/Alias": "simulated/echo"})
    assert match(listing(name), against=known).withheld == {Withheld.RESERVED: 1}
    assert match(listing(name, model_id=name.lower()), is_canonical=True).withheld == {Withheld.RESERVED: 1}
    assert match(listing("Author/Alias"), against=known).withheld == {Withheld.RESERVED: 1}


def test_a_price_from_elsewhere_has_no_tiers_of_the_list() -> None:
    tiered = LongContext(from_tokens=5, cost=Cost(input_tokens=100, output_tokens=100))
    assert the_one(match(listing(long_context=tiered))).long_from_tokens == 5
    known = base(price={"Author/Model": PRICE})
    assert the_one(match(listing(cost=None, long_context=tiered), against=known)).long_cost is None


def test_a_model_whose_limits_nobody_knows_is_not_made_but_one_that_there_is_is_offered() -> None:
    bare = listing(context_length=None, max_output_tokens=None, input_modalities=None)
    assert match(bare).withheld == {Withheld.UNLIMITED: 1}
    known = the_one(match(bare, against=base("author/model")))
    assert (known.context_length, known.input_modalities) == (None, None)
    told = base(model={"author/*": ModelFact(context_length=5, max_output_tokens=2, supported_parameters=("tools",))})
    model = the_one(match(bare, against=told))
    assert (model.context_length, model.max_output_tokens, model.input_modalities) == (5, 2, ("text",))
    assert model.supported_parameters == ("tools",)


def test_a_provider_of_known_models_alone_makes_none() -> None:
    policy = {"models": "known"}
    assert match(listing(), against=base(policy=policy)).withheld == {Withheld.UNKNOWN: 1}
    assert the_one(match(listing(), against=base("author/model", policy=policy))).model_id == "author/model"


def test_a_model_is_sold_for_images_only_where_it_is_known_what_one_counts_for() -> None:
    sees = listing(input_modalities=("text", "image"))
    assert the_one(match(sees)).input_modalities == ("text",)
    known = base(model={"author/model": ModelFact(image_input_tokens=1000)})
    model = the_one(match(sees, against=known))
    assert (model.input_modalities, model.image_input_tokens) == (("text", "image"), 1000)
    assert the_one(match(listing(), against=known)).image_input_tokens is None


def test_what_charges_for_more_than_its_list_says_is_withheld() -> None:
    known = base("author/model", model={"*": ModelFact(is_withheld=True)})
    assert match(listing(), against=known).withheld == {Withheld.BY_FACT: 1}
