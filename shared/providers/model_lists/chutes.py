"""Chutes' GET /models: prices per million tokens as numbers."""

from decimal import Decimal

import msgspec

from shared.providers.model_lists.listing import (
    Listing,
    ModelList,
    Unusable,
    UnusableEntry,
    cost_per_million,
    read_entries,
)
from shared.providers.model_lists.names import guess_model_id

# source  https://llm.chutes.ai/v1/models as https://chutes.ai/llms.txt names it
# A suffix of what runs in a confidential machine: the same weights.
CONFIDENTIAL_SUFFIX = "-TEE"
SOLD_INPUTS = ("text", "image")
PARAMETERS_OF_FEATURES = {
    "tools": ("tools", "tool_choice"),
    "json_mode": ("response_format",),
    "structured_outputs": ("structured_outputs",),
    "reasoning": ("reasoning",),
}


class _Pricing(msgspec.Struct):
    prompt: Decimal | None = None
    completion: Decimal | None = None
    input_cache_read: Decimal | None = None


class _Entry(msgspec.Struct):
    id: str
    pricing: _Pricing = msgspec.field(default_factory=_Pricing)
    context_length: int | None = None
    max_model_len: int | None = None
    max_output_length: int | None = None
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)
    supported_features: tuple[str, ...] = ()
    supported_sampling_parameters: tuple[str, ...] = ()


_ENTRY = msgspec.json.Decoder(_Entry)


def read_chutes(data: bytes) -> ModelList:
    """Read the list.

    raises  MalformedAnswer
    """
    return read_entries(data, _ENTRY, _read)


def _read(entry: _Entry) -> Listing:
    if entry.output_modalities != ("text",):
        raise UnusableEntry(Unusable.NOT_TEXT)
    features = [name for feature in entry.supported_features for name in PARAMETERS_OF_FEATURES.get(feature, ())]
    public_name = entry.id.removesuffix(CONFIDENTIAL_SUFFIX)
    return Listing(
        upstream_model=entry.id,
        model_id=guess_model_id(public_name),
        other_names=(public_name,) if public_name != entry.id else (),
        name=public_name.rpartition("/")[2],
        context_length=entry.context_length or entry.max_model_len,
        max_output_tokens=entry.max_output_length,
        input_modalities=tuple(kind for kind in SOLD_INPUTS if kind in entry.input_modalities),
        supported_parameters=(*features, *entry.supported_sampling_parameters),
        cost=cost_per_million(entry.pricing.prompt, entry.pricing.completion, entry.pricing.input_cache_read),
        priced_as=entry.id,
    )
