"""OpenRouter's GET /models: prices per token as decimal strings, tiers by the length of the prompt."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

import msgspec

from shared.providers.model_lists.listing import (
    Cost,
    Listing,
    LongContext,
    ModelList,
    Unusable,
    UnusableEntry,
    rate_per_token,
    read_entries,
)
from shared.providers.raw_json import decode
from shared.providers.request_fields import ROUTING_SUFFIXES

# source  https://openrouter.ai/docs/models (schema, output_modalities), …/docs/features/provider-routing (suffixes)
# The gateway asks for none of these: web searches, audio, images to be made, cache writes for an hour.
NEVER_ASKED = frozenset(
    {"web_search", "audio", "audio_output", "input_audio_cache", "image_output", "input_cache_write_1h", "discount"}
)
PRICED = frozenset(
    {"prompt", "completion", "input_cache_read", "input_cache_write", "internal_reasoning", "image", "request"}
)
CONDITIONS = frozenset({"min_prompt_tokens"})
OVERRIDES = "overrides"
FREE_SUFFIX = ":free"
# What is made in a batch is not answered at once.
OTHERWISE_ASKED = (*ROUTING_SUFFIXES, ":batch")
SOLD_INPUTS = ("text", "image")
SOLD_OUTPUTS = (("text",), ("embeddings",))

Prices = Mapping[str, Decimal]


class _Architecture(msgspec.Struct):
    input_modalities: tuple[str, ...] = ("text",)
    output_modalities: tuple[str, ...] = ("text",)


class _TopProvider(msgspec.Struct):
    max_completion_tokens: int | None = None


class _Entry(msgspec.Struct):
    id: str
    name: str
    pricing: dict[str, msgspec.Raw]
    context_length: int
    description: str | None = None
    canonical_slug: str | None = None
    hugging_face_id: str | None = None
    architecture: _Architecture = msgspec.field(default_factory=_Architecture)
    top_provider: _TopProvider = msgspec.field(default_factory=_TopProvider)
    supported_parameters: tuple[str, ...] | None = None


_ENTRY = msgspec.json.Decoder(_Entry)
_PRICE = msgspec.json.Decoder(Decimal)
_TOKENS = msgspec.json.Decoder(int)
_TIERS = msgspec.json.Decoder(list[dict[str, msgspec.Raw]])


def read_openrouter(data: bytes) -> ModelList:
    """Read the list.

    raises  MalformedAnswer
    """
    return read_entries(data, _ENTRY, _read)


def _read(entry: _Entry) -> Listing:
    if entry.id.endswith(OTHERWISE_ASKED):
        raise UnusableEntry(Unusable.NOT_A_MODEL)
    outputs = entry.architecture.output_modalities
    if outputs not in SOLD_OUTPUTS:
        raise UnusableEntry(Unusable.NOT_TEXT)
    if "text" in outputs and "completion" not in entry.pricing:
        raise UnusableEntry(Unusable.PRICE_UNKNOWN)
    cost, long_context = _read_prices(entry.pricing)
    is_variant = ":" in entry.id
    other_names = () if is_variant else (entry.canonical_slug, entry.hugging_face_id)
    return Listing(
        upstream_model=entry.id,
        model_id=entry.id,
        other_names=tuple(name for name in other_names if name and name != entry.id),
        name=entry.name,
        description=entry.description or "",
        context_length=entry.context_length,
        max_output_tokens=0 if "text" not in outputs else entry.top_provider.max_completion_tokens,
        input_modalities=tuple(kind for kind in SOLD_INPUTS if kind in entry.architecture.input_modalities),
        output_modalities=outputs,
        supported_parameters=entry.supported_parameters or (),
        cost=cost,
        long_context=long_context,
        is_free_on_purpose=entry.id.endswith(FREE_SUFFIX),
    )


def _read_prices(pricing: Mapping[str, msgspec.Raw]) -> tuple[Cost, LongContext | None]:
    """Read the base and its overrides; under a condition that we do not know the dearest counts at all times."""
    base = _decoded(pricing.items())
    tiers: list[tuple[int, Prices]] = []
    for override in decode(_TIERS, bytes(pricing.get(OVERRIDES, b"[]"))):
        prices = _decoded((name, value) for name, value in override.items() if name in PRICED | NEVER_ASKED)
        conditions = override.keys() - PRICED - NEVER_ASKED
        if conditions == CONDITIONS:
            tiers.append((decode(_TOKENS, bytes(override["min_prompt_tokens"])), prices))
        else:
            base = _dearest(base, prices)
    if not tiers:
        return _cost(base), None
    long = base
    for _, prices in tiers:
        long = _dearest(long, prices)
    # Where there are several, the dearest counts from the first on.
    return _cost(base), LongContext(from_tokens=max(1, min(start for start, _ in tiers)), cost=_cost(long))


def _decoded(pricing: Iterable[tuple[str, msgspec.Raw]]) -> Prices:
    prices = {name: decode(_PRICE, bytes(value)) for name, value in pricing if name != OVERRIDES}
    if not all(price.is_finite() for price in prices.values()):
        raise UnusableEntry(Unusable.MALFORMED)
    if any(price < 0 for price in prices.values()):
        # Routers cost what they route to; the list has -1 there.
        raise UnusableEntry(Unusable.PRICE_VARIES)
    if any(price != 0 for name, price in prices.items() if name not in PRICED | NEVER_ASKED):
        raise UnusableEntry(Unusable.PRICE_UNKNOWN)
    return prices


def _dearest(base: Prices, others: Prices) -> Prices:
    return {**base, **{name: max(price, base.get(name, Decimal(0))) for name, price in others.items()}}


def _cost(prices: Prices) -> Cost:
    if "prompt" not in prices:
        raise UnusableEntry(Unusable.PRICE_UNKNOWN)
    output_price = max(prices.get("completion", Decimal(0)), prices.get("internal_reasoning", Decimal(0)))
    return Cost(
        input_tokens=rate_per_token(prices["prompt"]) or 0,
        output_tokens=rate_per_token(output_price) or 0,
        # Zero is no price for a cache: what is read from it is charged as input where the list says nothing of it.
        cached_input_tokens=rate_per_token(prices.get("input_cache_read")) or None,
        cache_write_tokens=rate_per_token(prices.get("input_cache_write")) or None,
        images=rate_per_token(prices.get("image")),
        requests=rate_per_token(prices.get("request")),
    )
