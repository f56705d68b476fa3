"""Featherless's GET /models: open-weight models by class; most are sold at a flat price that the list does not say."""

from decimal import Decimal

import msgspec

from shared.providers.model_lists.listing import (
    Cost,
    Listing,
    ModelList,
    Unusable,
    UnusableEntry,
    rate_per_token,
    read_entries,
)
from shared.providers.model_lists.names import guess_model_id

# source  https://featherless.ai/docs/api-reference-models
ACTIVE = "active"


class _Pricing(msgspec.Struct):
    prompt: Decimal | None = None
    completion: Decimal | None = None


class _Features(msgspec.Struct):
    tool_use: bool = False


class _Entry(msgspec.Struct):
    id: str
    model_class: str | None = None
    context_length: int | None = None
    max_completion_tokens: int | None = None
    is_gated: bool = False
    available_on_current_plan: bool = True
    status: str = ACTIVE
    pricing: _Pricing | None = None
    features: _Features | None = None


_ENTRY = msgspec.json.Decoder(_Entry)


def read_featherless(data: bytes) -> ModelList:
    """Read the list.

    raises  MalformedAnswer
    """
    return read_entries(data, _ENTRY, _read)


def _read(entry: _Entry) -> Listing:
    if entry.is_gated or not entry.available_on_current_plan or entry.status != ACTIVE:
        raise UnusableEntry(Unusable.UNAVAILABLE)
    has_tools = entry.features is not None and entry.features.tool_use
    return Listing(
        upstream_model=entry.id,
        model_id=guess_model_id(entry.id),
        name=entry.id.rpartition("/")[2],
        context_length=entry.context_length,
        max_output_tokens=entry.max_completion_tokens,
        input_modalities=("text",),
        supported_parameters=("tools", "tool_choice") if has_tools else (),
        cost=None if entry.pricing is None else _cost(entry.pricing),
        priced_as=entry.model_class,
    )


def _cost(pricing: _Pricing) -> Cost | None:
    input_tokens, output_tokens = rate_per_token(pricing.prompt), rate_per_token(pricing.completion)
    if input_tokens is None or output_tokens is None:
        return None
    return Cost(input_tokens=input_tokens, output_tokens=output_tokens)
