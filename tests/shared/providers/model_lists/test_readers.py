"""What is read of each provider's list: prices exact, bad entries passed over one by one."""

import json
from decimal import Decimal

import pytest

from shared.core.ids import ProviderSlug
from shared.core.integrations import PROVIDER_SLUGS
from shared.core.money import rate_from_dollars
from shared.providers.model_lists.listing import Cost, Listing, LongContext, ModelList, Unusable
from shared.providers.model_lists.names import guess_model_id
from shared.providers.model_lists.readers import READERS
from shared.providers.raw_json import MalformedAnswer
from tests.shared.providers.model_lists.recorded import sample

# Nano-dollars per million tokens at a dollar per million.
DOLLAR = 1_000_000_000


def read(provider: str, data: bytes | None = None) -> ModelList:
    return READERS[ProviderSlug(provider)](sample(provider) if data is None else data)


def listed(provider: str) -> dict[str, Listing]:
    return {listing.upstream_model: listing for listing in read(provider).listings}


def listed_with(price: object) -> ModelList:
    """Return OpenRouter's list of one model at this price per token."""
    entry = {"id": "a/b", "name": "B", "context_length": 1000, "pricing": {"prompt": price, "completion": price}}
    return read("openrouter", json.dumps({"data": [entry]}).encode())


def test_every_provider_has_a_reader_and_a_sample_that_names_its_source() -> None:
    assert set(READERS) == set(PROVIDER_SLUGS)
    assert all("https://" in json.loads(sample(slug))["_source"] for slug in READERS)


@pytest.mark.parametrize(
    ("provider", "usable", "unusable"),
    [
        (
            "openrouter",
            8,
            {
                Unusable.PRICE_VARIES: 1,
                Unusable.NOT_TEXT: 1,
                Unusable.NOT_A_MODEL: 2,
                Unusable.PRICE_UNKNOWN: 1,
                Unusable.MALFORMED: 5,
            },
        ),
        ("chutes", 4, {Unusable.NOT_TEXT: 1, Unusable.MALFORMED: 1}),
        ("portkey", 2, {Unusable.NOT_A_MODEL: 1, Unusable.MALFORMED: 1}),
        ("featherless", 3, {Unusable.UNAVAILABLE: 3, Unusable.MALFORMED: 1}),
    ],
)
def test_a_bad_entry_is_passed_over_and_counted_and_takes_no_other_away(
    provider: str, usable: int, unusable: dict[Unusable, int]
) -> None:
    found = read(provider)
    assert (len(found.listings), dict(found.unusable)) == (usable, unusable)


@pytest.mark.parametrize("provider", PROVIDER_SLUGS)
@pytest.mark.parametrize("data", [b"", b"<html>", b"[]", b"{}", b'{"data": null}', b'{"data": {"id": "a/b"}}', b"\xff"])
def test_what_is_no_list_is_no_empty_list(provider: str, data: bytes) -> None:
    with pytest.raises(MalformedAnswer):
        read(provider, data)


def test_openrouters_prices_are_dollars_per_token_and_exact() -> None:
    models = listed("openrouter")
    assert models["cohere/command-r7b-12-2024"].cost == Cost(
        input_tokens=37_500_000, output_tokens=150_000_000, images=0, requests=0
    )
    gpt = models["openai/gpt-4o-2024-11-20"]
    assert gpt.cost == Cost(
        input_tokens=2_500_000_000,
        output_tokens=10 * DOLLAR,
        cached_input_tokens=1_250_000_000,
        images=3_613_000_000_000,
        requests=0,
    )
    assert (gpt.context_length, gpt.max_output_tokens, gpt.input_modalities) == (128_000, 16_384, ("text", "image"))
    claude = models["anthropic/claude-fable-5.1"]
    assert claude.cost is not None
    assert (claude.cost.cached_input_tokens, claude.cost.cache_write_tokens) == (250_000_000, 12_500_000_000)
    assert claude.max_output_tokens is None


def test_hidden_reasoning_that_costs_more_than_text_is_what_output_costs() -> None:
    cost = listed("openrouter")["qwen/qwen3-32b"].cost
    assert cost is not None
    assert (cost.input_tokens, cost.output_tokens) == (80_000_000, 300_000_000)


def test_a_price_that_rises_with_the_prompt_is_the_dearest_from_the_first_rise_on() -> None:
    flash = listed("openrouter")["qwen/qwen3.7-flash"]
    assert flash.cost == Cost(input_tokens=30_000_000, output_tokens=130_000_000)
    assert flash.long_context == LongContext(
        from_tokens=32_000, cost=Cost(input_tokens=200_000_000, output_tokens=800_000_000)
    )


def test_under_a_condition_that_nobody_knows_the_dearest_price_counts_at_all_times() -> None:
    peak = listed("openrouter")["deepseek/deepseek-peak"]
    assert (peak.cost, peak.long_context) == (Cost(input_tokens=4 * DOLLAR, output_tokens=2 * DOLLAR), None)


def test_a_model_that_makes_vectors_writes_nothing() -> None:
    embeddings = listed("openrouter")["openai/text-embedding-3-small"]
    assert (embeddings.output_modalities, embeddings.max_output_tokens) == (("embeddings",), 0)
    assert embeddings.cost == Cost(input_tokens=20_000_000, output_tokens=0, images=0, requests=0)


def test_a_variant_goes_by_no_name_of_the_model_itself() -> None:
    models = listed("openrouter")
    assert models["qwen/qwen3-32b"].other_names == ("qwen/qwen3-32b-04-28", "Qwen/Qwen3-32B")
    free = models["meta-llama/llama-3.3-70b-instruct:free"]
    assert (free.other_names, free.is_free_on_purpose) == ((), True)
    assert free.cost is not None
    assert free.cost.is_free


def test_chutes_prices_are_numbers_per_million_and_exact() -> None:
    models = listed("chutes")
    qwen = models["Qwen/Qwen3-32B-TEE"]
    assert qwen.cost == Cost(input_tokens=104_000_000, output_tokens=416_000_000, cached_input_tokens=52_000_000)
    assert (qwen.model_id, qwen.other_names) == ("qwen/qwen3-32b", ("Qwen/Qwen3-32B",))
    assert (qwen.context_length, qwen.max_output_tokens) == (40_960, 40_960)
    assert {"tools", "tool_choice", "response_format", "reasoning", "top_p"} <= set(qwen.supported_parameters)
    small = models["RUNE-CTZ/affine-small"].cost
    assert small is not None
    assert (small.input_tokens, small.output_tokens, small.cached_input_tokens) == (24_500_000, 97_800_000, 12_250_000)
    free = models["chutesai/being-subsidised"]
    assert free.cost is not None
    assert (free.cost.is_free, free.is_free_on_purpose) == (True, False)


def test_portkeys_list_has_names_alone() -> None:
    models = listed("portkey")
    mistral = models["@mistral-ai/mistral-large-2411"]
    assert (mistral.model_id, mistral.priced_as) == ("mistralai/mistral-large-2411", "mistral-ai/mistral-large-2411")
    assert (mistral.cost, mistral.context_length, mistral.input_modalities) == (None, None, None)


def test_featherless_says_of_some_models_what_a_token_costs() -> None:
    models = listed("featherless")
    assert (models["moonshotai/Kimi-K2-Instruct"].cost, models["moonshotai/Kimi-K2-Instruct"].priced_as) == (
        None,
        "kimi-k2",
    )
    llama = models["meta-llama/Meta-Llama-3-8B-Instruct"]
    assert llama.cost == Cost(input_tokens=100_000_000, output_tokens=100_000_000)
    assert llama.supported_parameters == ("tools", "tool_choice")


@pytest.mark.parametrize(
    "price", ["NaN", "Infinity", "-0.1", "9.000000000000000001", "1001", "1e400", "free", "", True, [], {}, 10**30]
)
def test_what_is_no_price_is_no_model(price: object) -> None:
    found = listed_with(price)
    assert (len(found.listings), sum(found.unusable.values())) == (0, 1)


@pytest.mark.parametrize(
    ("price", "rate"),
    [
        ("0.00000025", 250_000_000),
        ("2.5e-7", 250_000_000),
        (2.5e-07, 250_000_000),
        ("0.1", 10**14),
        ("9", 9 * 10**15),
        ("0.0000000000000010000000000000000000001", 2),
        ("1e-99999", 1),
        ("0." + "3" * 40, 333_333_333_333_334),
    ],
)
def test_a_price_is_never_rounded_down(price: object, rate: int) -> None:
    (listing,) = listed_with(price).listings
    assert listing.cost is not None
    assert listing.cost.input_tokens == rate


def entry_with(**fields: object) -> bytes:
    """Return OpenRouter's list of a good model and one with these fields."""
    good = {"id": "a/b", "name": "B", "context_length": 1000, "pricing": {"prompt": "0.1", "completion": "0.1"}}
    return json.dumps({"data": [good, {**good, "id": "a/c", **fields}]}).encode()


def tiered(from_tokens: object, dollars: str = "0.2") -> dict[str, object]:
    override = {"min_prompt_tokens": from_tokens, "prompt": dollars, "completion": dollars}
    return {"prompt": "0.1", "completion": "0.1", "overrides": [override]}


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"pricing": tiered(100_000_001)}, Unusable.MALFORMED),
        ({"pricing": tiered(2**31)}, Unusable.MALFORMED),
        ({"pricing": tiered(10**30)}, Unusable.MALFORMED),
        ({"pricing": tiered(100, "9.1")}, Unusable.MALFORMED),
        ({"pricing": {"prompt": "0.1"}}, Unusable.PRICE_UNKNOWN),
        ({"pricing": {"completion": "0.1"}}, Unusable.PRICE_UNKNOWN),
        ({"pricing": {"prompt": "0.1", "internal_reasoning": "0.2"}}, Unusable.PRICE_UNKNOWN),
        ({"context_length": 2**31}, Unusable.MALFORMED),
        ({"top_provider": {"max_completion_tokens": 10_000_001}}, Unusable.MALFORMED),
    ],
)
def test_what_the_store_could_not_take_is_passed_over_alone(fields: dict[str, object], why: Unusable) -> None:
    found = read("openrouter", entry_with(**fields))
    assert [listing.model_id for listing in found.listings] == ["a/b"]
    assert dict(found.unusable) == {why: 1}


def test_what_makes_vectors_has_no_price_for_text() -> None:
    vectors = {"architecture": {"output_modalities": ["embeddings"]}, "pricing": {"prompt": "0.1"}}
    assert len(read("openrouter", entry_with(**vectors)).listings) == 2


@pytest.mark.parametrize("provider", ["openrouter", "chutes"])
def test_of_parameters_those_count_that_can_be_one(provider: str) -> None:
    named = ["tools", "to\0ols", "\ud83d", "", "with space", "x" * 101, *(f"p{number}" for number in range(200))]
    price = {"prompt": 0.1, "completion": 0.1}
    entry = {"id": "A/b", "name": "B", "context_length": 1000, "pricing": price}
    entry |= {"supported_parameters": named, "supported_sampling_parameters": named}
    (listing,) = read(provider, json.dumps({"data": [entry]}).encode()).listings
    assert listing.supported_parameters == ("tools", *(f"p{number}" for number in range(99)))


def test_half_of_an_emoji_and_a_nul_do_not_reach_the_store() -> None:
    entry = (
        '{"id": "a/b", "name": "B \\ud83d\\u0000", "description": "' + "x" * 3000 + '", "context_length": 1000,'
        ' "pricing": {"prompt": "0.1", "completion": "0.1"}}'
    )
    (listing,) = read("openrouter", f'{{"data": [{entry}]}}'.encode()).listings
    listing.name.encode()
    assert "\0" not in listing.name
    assert len(listing.description) == 2000


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("Qwen/Qwen3-32B", "qwen/qwen3-32b"),
        ("deepseek-ai/DeepSeek-V3.1", "deepseek/deepseek-v3.1"),
        ("zai-org/GLM-5", "z-ai/glm-5"),
        ("no-author", "no-author"),
    ],
)
def test_a_guess_is_spelt_as_our_ids_are(name: str, guess: str) -> None:
    assert guess_model_id(name) == guess


@pytest.mark.parametrize(
    ("dollars", "units", "rate"), [("0.104", 1_000_000, 104_000_000), ("0.000000001", 1, 1_000_000)]
)
def test_a_rate_is_nano_dollars_per_million_units(dollars: str, units: int, rate: int) -> None:
    assert rate_from_dollars(Decimal(dollars), units=units) == rate
