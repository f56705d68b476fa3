"""The models each simulated provider offers, their prices, and how that provider publishes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

from infra.local.simulator.offer import Offer
from infra.local.simulator.recorded import recorded_offers

TOKENS_PER_PRICE = 1_000_000
CREATED_AT_S = 1_750_000_000
# Chutes prices in TAO beside dollars; the rate is fixed so that the list is the same on every day.
USD_PER_TAO = Decimal(400)
# What an image costs, of any size and quality, at every provider.
IMAGE_USD = Decimal("0.04")
# Whose models run nowhere but at their authors'.
CLOSED_AUTHORS = ("openai/", "anthropic/")
FEATURES = ("json_mode", "structured_outputs", "tools", "reasoning")


@dataclass(frozen=True, slots=True)
class Provider:
    """One simulated provider: the name of its path prefix, its key's header, and how it prints a model.

    quirk   publishes_cost: answers carry usage.cost, and a stream's usage comes without being asked for
    """

    slug: str
    label: str
    key_header: str
    offers: Mapping[str, Offer]
    print_offer: Callable[[Offer], dict[str, Any]]
    publishes_cost: bool = False


def find_offer(provider: Provider, model: str) -> Offer:
    """Return the provider's offer; a model that is not listed costs what `sim/echo` costs."""
    return provider.offers.get(model) or provider.offers["sim/echo"]


def cost_of(offer: Offer, *, prompt_tokens: int, cached_tokens: int, completion_tokens: int) -> Decimal:
    """Return what the provider bills, in US dollars, exact."""
    cached = min(cached_tokens, prompt_tokens)
    dollars_per_million = (
        (prompt_tokens - cached) * offer.input_usd + cached * offer.cached_usd + completion_tokens * offer.output_usd
    )
    return dollars_per_million / TOKENS_PER_PRICE


def list_models(provider: Provider) -> dict[str, Any]:
    """Print the provider's `GET /models` in its own format."""
    return {"object": "list", "data": [provider.print_offer(offer) for offer in provider.offers.values()]}


def list_portkey_prices(author: str) -> dict[str, Any]:
    """Print Portkey's public price file for one author: cents per token, by model name without the author.

    source  Portkey publishes prices at configs.portkey.ai/pricing/<author>.json, not in its model list
    """
    prices = {}
    for offer in PROVIDERS["portkey"].offers.values():
        offer_author, _, name = offer.model.partition("/")
        if offer_author == author:
            prices[name] = {"pricing_config": {"currency": "USD", "pay_as_you_go": _cents_per_token(offer)}}
    return prices


def print_decimal(amount: Decimal) -> str:
    """Print an amount without an exponent and without trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def _print_openrouter(offer: Offer) -> dict[str, Any]:
    return {
        "id": offer.model,
        "canonical_slug": offer.model,
        "name": offer.name,
        "created": CREATED_AT_S,
        "description": f"{offer.name}, simulated.",
        "context_length": offer.context_length,
        "architecture": {
            "modality": f"{'+'.join(offer.input_modalities)}->{'+'.join(offer.output_modalities)}",
            "input_modalities": list(offer.input_modalities),
            "output_modalities": list(offer.output_modalities),
            "tokenizer": "Other",
            "instruct_type": None,
        },
        "pricing": {
            **_both_per_token(offer),
            "request": "0",
            "image": "0",
            "web_search": "0",
            "internal_reasoning": "0",
            "input_cache_read": _per_token(offer.cached_usd),
        },
        "top_provider": {
            "context_length": offer.context_length,
            "max_completion_tokens": offer.max_output_tokens,
            "is_moderated": False,
        },
        "per_request_limits": None,
        "supported_parameters": list(offer.parameters),
    }


def _print_portkey(offer: Offer) -> dict[str, Any]:
    author = offer.model.partition("/")[0]
    return {
        "id": offer.model,
        "object": "model",
        "created": CREATED_AT_S,
        "owned_by": author,
        "slug": offer.model,
        "canonical_slug": offer.model.partition("/")[2],
    }


def _print_featherless(offer: Offer) -> dict[str, Any]:
    """Featherless publishes a price of some models alone."""
    author, _, name = offer.model.partition("/")
    return {
        "id": offer.model,
        "object": "model",
        "name": offer.name,
        "created": CREATED_AT_S,
        "owned_by": author,
        "model_class": offer.model_class or name,
        "is_gated": False,
        "context_length": offer.context_length,
        "max_completion_tokens": offer.max_output_tokens,
        "available_on_current_plan": True,
        "features": {"tool_use": "tools" in offer.parameters},
        **({"pricing": _both_per_token(offer)} if offer.has_listed_price else {}),
    }


def _print_chutes(offer: Offer) -> dict[str, Any]:
    return {
        "id": offer.model,
        "root": offer.model,
        "object": "model",
        "created": CREATED_AT_S,
        "owned_by": "sglang",
        "price": {
            "input": {"usd": float(offer.input_usd), "tao": float(offer.input_usd / USD_PER_TAO)},
            "output": {"usd": float(offer.output_usd), "tao": float(offer.output_usd / USD_PER_TAO)},
        },
        "pricing": {
            "prompt": float(offer.input_usd),
            "completion": float(offer.output_usd),
            "input_cache_read": float(offer.cached_usd),
        },
        "quantization": "fp8",
        "context_length": offer.context_length,
        "max_model_len": offer.context_length,
        "max_output_length": offer.max_output_tokens,
        "input_modalities": list(offer.input_modalities),
        "output_modalities": ["text"],
        "supported_features": [feature for feature in FEATURES if feature in offer.parameters],
        "supported_sampling_parameters": ["temperature", "top_p", "top_k", "stop", "seed"],
    }


def _per_token(usd_per_million: Decimal) -> str:
    return print_decimal(usd_per_million / TOKENS_PER_PRICE)


def _both_per_token(offer: Offer) -> dict[str, str]:
    return {"prompt": _per_token(offer.input_usd), "completion": _per_token(offer.output_usd)}


def _cents_per_token(offer: Offer) -> dict[str, Any]:
    cents_per_price = TOKENS_PER_PRICE // 100
    return {
        "request_token": {"price": float(offer.input_usd / cents_per_price)},
        "response_token": {"price": float(offer.output_usd / cents_per_price)},
        "cache_read_input_token": {"price": float(offer.cached_usd / cents_per_price)},
    }


_TEXT_AND_IMAGE = ("text", "image")
# Model, name, input, output and cached input in dollars per million tokens, context, output limit, modalities. The
# prices are those that infra/supabase/seed.sql starts with, so that a bill can be compared with the ledger.
_OFFERS = (
    Offer(
        "openai/gpt-5-mini", "GPT-5 Mini", Decimal("0.25"), Decimal(2), Decimal("0.025"), 400_000, 128_000,
        _TEXT_AND_IMAGE,
    ),
    Offer(
        "anthropic/claude-sonnet-4.5", "Claude Sonnet 4.5", Decimal(3), Decimal(15), Decimal("0.3"), 200_000, 64_000,
        _TEXT_AND_IMAGE,
    ),
    Offer(
        "meta-llama/llama-3.3-70b-instruct", "Llama 3.3 70B Instruct", Decimal("0.13"), Decimal("0.39"),
        Decimal("0.13"), 131_072, 16_384,
    ),
    Offer(
        "deepseek/deepseek-chat-v3.1", "DeepSeek V3.1", Decimal("0.2"), Decimal("0.8"), Decimal("0.2"), 163_840, 32_768
    ),
    Offer("qwen/qwen3-32b", "Qwen3 32B", Decimal("0.08"), Decimal("0.24"), Decimal("0.08"), 40_960, 16_384),
    Offer(
        "mistralai/mistral-nemo", "Mistral Nemo", Decimal("0.02"), Decimal("0.04"), Decimal("0.02"), 131_072, 16_384
    ),
    Offer("sim/echo", "Simulated Echo", Decimal(1), Decimal(2), Decimal("0.1"), 1_000_000, 100_000, _TEXT_AND_IMAGE),
    Offer("sim/free", "Simulated Free", Decimal(0), Decimal(0), Decimal(0), 131_072, 16_384),
)  # fmt: skip
_BY_MODEL = {offer.model: offer for offer in _OFFERS}


def _with_native_names(*native: Offer) -> Mapping[str, Offer]:
    """Offer what is native, and every model under its common name, at the latter's price where both say one."""
    offers = {offer.model: offer for offer in native}
    return offers | {
        offer.model: replace(offer, parameters=offers.get(offer.model, offer).parameters) for offer in _OFFERS
    }


_OPENROUTER = _with_native_names(*recorded_offers("openrouter"))
_PORTKEY = _with_native_names(
    replace(_BY_MODEL["openai/gpt-5-mini"], model="@openai/gpt-5-mini"), *recorded_offers("portkey")
)
_FEATHERLESS = _with_native_names(*recorded_offers("featherless"))
_CHUTES = {
    model: offer
    for model, offer in _with_native_names(
        replace(_BY_MODEL["deepseek/deepseek-chat-v3.1"], model="deepseek-ai/DeepSeek-V3.1"),
        replace(_BY_MODEL["qwen/qwen3-32b"], model="Qwen/Qwen3-32B"),
        *recorded_offers("chutes"),
    ).items()
    if not model.startswith(CLOSED_AUTHORS)
}

PROVIDERS: Mapping[str, Provider] = {
    provider.slug: provider
    for provider in (
        Provider("openrouter", "OpenRouter", "Authorization", _OPENROUTER, _print_openrouter, publishes_cost=True),
        Provider("portkey", "Portkey", "x-portkey-api-key", _PORTKEY, _print_portkey),
        Provider("featherless", "Featherless", "Authorization", _FEATHERLESS, _print_featherless),
        Provider("chutes", "Chutes", "Authorization", _CHUTES, _print_chutes),
    )
}
