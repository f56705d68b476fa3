"""Model lists and prices, in each provider's own format."""

from decimal import Decimal

import pytest

from infra.local.simulator.catalog import PROVIDERS, cost_of, find_offer, list_models, list_portkey_prices
from tests.infra.local.simulator.conftest import Sim

CANONICAL = {
    "openai/gpt-5-mini",
    "anthropic/claude-sonnet-4.5",
    "meta-llama/llama-3.3-70b-instruct",
    "deepseek/deepseek-chat-v3.1",
    "qwen/qwen3-32b",
    "sim/free",
}


CLOSED = {"openai/gpt-5-mini", "anthropic/claude-sonnet-4.5"}


@pytest.mark.parametrize("slug", PROVIDERS)
def test_every_provider_lists_the_canonical_models(slug: str) -> None:
    listed = {model["id"] for model in list_models(PROVIDERS[slug])["data"]}
    assert listed >= CANONICAL - CLOSED
    assert (listed >= CLOSED) == (slug != "chutes")


def test_openrouter_lists_hundreds_of_models_that_it_really_had() -> None:
    models = {model["id"]: model for model in list_models(PROVIDERS["openrouter"])["data"]}
    assert len(models) > 300
    flash = models["google/gemini-2.5-flash"]
    assert (flash["pricing"]["prompt"], flash["context_length"]) == ("0.0000003", 1_048_576)
    assert "image" in flash["architecture"]["input_modalities"]
    assert "reasoning" in models["openai/gpt-5-mini"]["supported_parameters"]
    assert models["openai/text-embedding-3-small"]["architecture"]["output_modalities"] == ["embeddings"]
    assert models["openrouter/auto"]["pricing"]["prompt"] == "-1"


def test_featherless_says_of_some_models_what_a_token_costs() -> None:
    models = {model["id"]: model for model in list_models(PROVIDERS["featherless"])["data"]}
    assert models["Qwen/Qwen3-32B"]["pricing"] == {"prompt": "0.000000102", "completion": "0.000000493"}
    assert "pricing" not in models["meta-llama/Llama-3.3-70B-Instruct"]


def test_openrouter_prices_are_decimal_strings_per_token() -> None:
    models = {model["id"]: model for model in list_models(PROVIDERS["openrouter"])["data"]}
    mini = models["openai/gpt-5-mini"]
    assert mini["pricing"]["prompt"] == "0.00000025"
    assert mini["pricing"]["completion"] == "0.000002"
    assert mini["pricing"]["input_cache_read"] == "0.000000025"
    assert mini["architecture"]["input_modalities"] == ["text", "image"]
    assert mini["top_provider"]["max_completion_tokens"] == 128_000
    assert models["sim/free"]["pricing"]["prompt"] == "0"


def test_chutes_prices_are_dollars_per_million() -> None:
    models = {model["id"]: model for model in list_models(PROVIDERS["chutes"])["data"]}
    assert models["zai-org/GLM-5.3"]["price"]["input"]["usd"] == 1.225
    assert models["zai-org/GLM-5.3"]["pricing"] == {"prompt": 1.225, "completion": 3.85, "input_cache_read": 0.245}


def test_portkey_prices_are_cents_per_token_in_files_by_author() -> None:
    paid = list_portkey_prices("openai")["gpt-5-mini"]["pricing_config"]["pay_as_you_go"]
    assert paid["request_token"]["price"] == 0.000025
    assert list_portkey_prices("nobody") == {}


def test_a_bill_counts_cached_tokens_at_their_own_price() -> None:
    offer = find_offer(PROVIDERS["openrouter"], "openai/gpt-5-mini")
    cost = cost_of(offer, prompt_tokens=1000, cached_tokens=400, completion_tokens=100)
    assert cost == Decimal("0.00036")


def test_a_model_that_is_not_listed_costs_what_echo_costs() -> None:
    offer = find_offer(PROVIDERS["openrouter"], "sim/tokens=5")
    assert (offer.input_usd, offer.output_usd) == (Decimal(1), Decimal(2))


def test_a_provider_also_knows_a_model_by_its_own_name() -> None:
    names = {
        "portkey": "@openai/gpt-5-mini",
        "chutes": "Qwen/Qwen3-32B",
        "featherless": "meta-llama/Llama-3.3-70B-Instruct",
    }
    for slug, name in names.items():
        assert find_offer(PROVIDERS[slug], name).model == name
    assert find_offer(PROVIDERS["featherless"], names["featherless"]).output_usd == Decimal("0.1")


async def test_models_are_served_under_each_prefix(sim: Sim) -> None:
    for slug in PROVIDERS:
        assert len((await sim.get(f"/{slug}/v1/models"))["data"]) >= 8
    assert (await sim.get("/portkey/pricing/qwen.json"))["qwen3-32b"]


async def test_portkey_lists_models_only_with_its_own_key(sim: Sim) -> None:
    headers = {"Authorization": "Bearer sk"}
    async with sim.session.get(f"{sim.url}/portkey/v1/models", headers=headers) as response:
        assert response.status == 401


async def test_an_unknown_provider_is_not_found(sim: Sim) -> None:
    async with sim.session.get(f"{sim.url}/nobody/v1/models") as response:
        assert response.status == 404
