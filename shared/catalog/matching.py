"""Which of our models a listed one is, and what of it is offered: pure rules."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

import msgspec

from shared.catalog.facts import Facts
from shared.providers.model_lists.listing import Cost, Listing
from shared.providers.simulated import SIMULATED

# A part of a name that some catalogs leave away.
INSTRUCT = "-instruct"
# What test keys are answered with, inside the function: nobody sells it.
RESERVED = f"{SIMULATED.slug}/"


class CatalogBase(msgspec.Struct, frozen=True):
    """What a list is read against: names of all models by id, ids by other names, the provider's facts.

    offers: ids by the provider's own names, as they were offered last
    """

    models: Mapping[str, str]
    aliases: Mapping[str, str]
    facts: Facts
    offers: Mapping[str, str] = {}


class OfferedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A listed model as the store takes it; source infra/supabase/migrations/…_catalog_sync.sql."""

    model_id: str
    upstream_model: str
    names: tuple[str, ...]
    name: str
    description: str
    context_length: int | None
    max_output_tokens: int | None
    image_input_tokens: int | None
    input_modalities: tuple[str, ...] | None
    output_modalities: tuple[str, ...]
    supported_parameters: tuple[str, ...]
    cost: Cost
    long_from_tokens: int | None
    long_cost: Cost | None


class Withheld(StrEnum):
    """Why a model that is listed is not offered."""

    BY_FACT = "withheld_by_fact"
    UNPRICED = "unpriced"
    UNLIMITED = "limits_unknown"
    UNKNOWN = "not_known_elsewhere"
    DOUBLE = "same_model_again"
    RESERVED = "reserved_name"


class Matched(msgspec.Struct, frozen=True):
    """What is offered, and how many are not, by why."""

    offered: tuple[OfferedModel, ...]
    withheld: Mapping[Withheld, int]


def match_listings(listings: Iterable[Listing], base: CatalogBase, *, is_canonical: bool) -> Matched:
    """Find the model that each listing is, and what it costs.

    is_canonical: the provider's names are our ids
    policy  closed: what has no price is not offered, and text for nothing is no price unless the model's name says so
    """
    listings = tuple(listings)
    shared_names = Counter(name for listing in listings for name in {*listing.other_names, listing.upstream_model})
    offered: dict[str, OfferedModel] = {}
    withheld: Counter[Withheld] = Counter()
    for listing in sorted(listings, key=_cheapest_first):
        model_id = listing.model_id if is_canonical else find_model_id(listing, base)
        unique = tuple(name for name in (listing.upstream_model, *listing.other_names) if shared_names[name] == 1)
        model = _offer(listing, model_id, unique, base)
        if isinstance(model, Withheld):
            withheld[model] += 1
        elif model_id in offered:
            withheld[Withheld.DOUBLE] += 1
        else:
            offered[model_id] = model
    return Matched(tuple(offered.values()), withheld)


def find_model_id(listing: Listing, base: CatalogBase) -> str:
    """Return the id of the model that is listed; where nothing surely is the same, an id of its own."""
    if alias := base.facts.alias.get(listing.upstream_model):
        return alias
    # What customers call by an id, and somebody may have set a price for, stays under that id.
    if known := base.offers.get(listing.upstream_model):
        return known
    for name in (listing.upstream_model, *listing.other_names, listing.model_id):
        if name in base.models:
            return name
        if name in base.aliases:
            return base.aliases[name]
    shorter = listing.model_id.replace(INSTRUCT, "", 1)
    # Without the word an id may be the bare model's; its display name tells.
    if INSTRUCT in listing.model_id and INSTRUCT[1:] in base.models.get(shorter, "").lower():
        return shorter
    return listing.model_id


def _offer(listing: Listing, model_id: str, names: tuple[str, ...], base: CatalogBase) -> OfferedModel | Withheld:
    if model_id.startswith(RESERVED):
        return Withheld.RESERVED
    if base.facts.takes_known_models_alone and model_id not in base.models:
        return Withheld.UNKNOWN
    fact = base.facts.about(model_id)
    if fact.is_withheld:
        return Withheld.BY_FACT
    cost = _cost(listing, model_id, base.facts)
    if cost is None:
        return Withheld.UNPRICED
    context_length = listing.context_length or fact.context_length
    if context_length is None and model_id not in base.models:
        return Withheld.UNLIMITED
    inputs = listing.input_modalities or fact.input_modalities
    if "image" in (inputs or ()) and fact.image_input_tokens is None:
        # How much an image may count for is not known, so none is taken.
        inputs = tuple(kind for kind in inputs or () if kind != "image")
    if inputs is None and context_length is not None:
        inputs = ("text",)
    long_context = listing.long_context if cost is listing.cost else None
    return OfferedModel(
        model_id=model_id,
        upstream_model=listing.upstream_model,
        names=tuple(name for name in names if name != model_id),
        name=listing.name,
        description=listing.description,
        context_length=context_length,
        max_output_tokens=fact.max_output_tokens if listing.max_output_tokens is None else listing.max_output_tokens,
        image_input_tokens=fact.image_input_tokens if "image" in (inputs or ()) else None,
        input_modalities=inputs,
        output_modalities=listing.output_modalities,
        supported_parameters=listing.supported_parameters or fact.supported_parameters or (),
        cost=cost,
        long_from_tokens=None if long_context is None else long_context.from_tokens,
        long_cost=None if long_context is None else long_context.cost,
    )


def _cost(listing: Listing, model_id: str, facts: Facts) -> Cost | None:
    cost = listing.cost
    if cost is not None and (listing.is_free_on_purpose or _is_sold(cost, listing.output_modalities)):
        return cost
    return facts.price_of(listing.priced_as, listing.upstream_model, model_id)


def _is_sold(cost: Cost, outputs: Sequence[str]) -> bool:
    """Whether it takes something for what it makes: where that is text, for the text itself."""
    return cost.output_tokens > 0 if "text" in outputs else not cost.is_free


def _cheapest_first(listing: Listing) -> tuple[int, int, str]:
    cost = listing.cost
    return (
        (0, 0, listing.upstream_model)
        if cost is None
        else (cost.output_tokens, cost.input_tokens, listing.upstream_model)
    )
