import asyncio
from decimal import Decimal
from typing import Any

import pytest

from shared.routing.records import FRESH_MS
from tests.functions.catalog.client import get
from tests.functions.chat.client import ask
from tests.functions.images.client import draw
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants, TestVariant

MODEL_FIELDS = {
    "id", "object", "created", "owned_by", "name", "description", "context_length", "max_output_tokens", "modalities",
    "pricing", "providers", "supported_parameters",
}  # fmt: skip


async def listed(gateway: RunningGateway, **query: Any) -> list[str]:
    answer = await get(gateway, "/v1/models", query)
    assert answer.status == 200, answer.raw
    return [model["id"] for model in answer.json["data"]]


@pytest.mark.parametrize(
    ("path", "alias"),
    [
        ("/models", "/v1/models"),
        ("/models/openai/gpt-5-mini", "/v1/models/openai/gpt-5-mini"),
        ("/models/providers", "/v1/providers"),
        ("/models/no/such", "/v1/models/no/such"),
    ],
)
async def test_an_alias_answers_the_same(gateway: RunningGateway, path: str, alias: str) -> None:
    first, second = await get(gateway, path), await get(gateway, alias)
    assert first.status == second.status
    bodies = [answer.json for answer in (first, second)]
    for body in bodies:
        body.get("error", {}).pop("request_id", None)
    assert bodies[0] == bodies[1]
    assert first.headers.get("Cache-Control") == second.headers.get("Cache-Control")


async def test_the_list_is_public_and_cached_and_its_prices_are_exact_decimal_strings(gateway: RunningGateway) -> None:
    answer = await get(gateway, "/v1/models")
    assert answer.headers["Cache-Control"] == "public, max-age=60, s-maxage=60"
    assert answer.json["object"] == "list"
    models = {model["id"]: model for model in answer.json["data"]}
    assert all(set(model) == MODEL_FIELDS for model in models.values())
    mini = models["openai/gpt-5-mini"]
    # 0.25, 2 and 0.025 USD, and the markup of 5 %.
    assert mini["pricing"] == {
        "input": "0.262500000",
        "output": "2.100000000",
        "cached_input": "0.026250000",
        "image": "0.000000000000000",
        "request": "0.000000000000000",
        "images": [],
    }
    assert mini["modalities"] == {"input": ["text", "image"], "output": ["text"]}
    assert mini["providers"] == ["openrouter", "portkey"]
    assert (mini["object"], mini["owned_by"]) == ("model", "openai")


async def test_a_price_below_a_nano_dollar_is_printed_exactly(gateway: RunningGateway, make_model: Models) -> None:
    model = make_model(
        input_usd_per_mtok=Decimal("0.000000001"), other_rates={"images": 1_234_567_891, "requests": 39}, markup_ppm=0
    )
    pricing = (await get(gateway, f"/v1/models/{model.id}")).json["pricing"]
    assert pricing["input"] == "0.000000001"
    assert pricing["image"] == "0.000001234567891"
    assert pricing["request"] == "0.000000000000039"


async def test_a_model_shows_the_offer_of_each_provider_cheapest_first(
    gateway: RunningGateway, make_model: Models
) -> None:
    model = make_model(providers=("portkey", "chutes"), output_usd_per_mtok=7, max_output_tokens=500)
    body = (await get(gateway, f"/v1/models/{model.id}")).json
    assert set(body) == {*MODEL_FIELDS, "aliases", "offers"}
    assert body["providers"] == [offer["provider"] for offer in body["offers"]] == ["chutes", "portkey"]
    assert all(offer["pricing"]["output"] == "7.000000000" for offer in body["offers"])
    assert all(offer["max_output_tokens"] == 500 for offer in body["offers"])
    assert all(offer["status"] == "healthy" for offer in body["offers"])


async def test_a_model_that_makes_images_shows_their_prices_by_size_and_quality(
    gateway: RunningGateway, make_model: Models
) -> None:
    variants = (TestVariant("1x1", "low", Decimal("0.01")), TestVariant("2x2", "low", Decimal("0.1")))
    model = make_model.image_model(variants=variants, providers=("portkey",), markup_ppm=50_000)
    body = (await get(gateway, f"/v1/models/{model.id}")).json
    prices = [
        {"size": "1x1", "quality": "low", "price": "0.010500000000000", "is_default": True},
        {"size": "2x2", "quality": "low", "price": "0.105000000000000", "is_default": False},
    ]
    assert body["pricing"]["images"] == body["offers"][0]["pricing"]["images"] == prices
    assert body["modalities"]["output"] == ["image"]
    # Not for nothing: its tokens have no price of their own.
    rates = ("input", "output", "cached_input", "image", "request")
    assert {body["pricing"][name] for name in rates} == {None}
    assert model.id not in await listed(gateway, free="true")
    assert model.id in await listed(gateway, modality="image", provider="portkey")


async def test_a_model_shows_each_size_that_some_provider_makes_at_its_lowest_price(
    gateway: RunningGateway, make_model: Models
) -> None:
    model = make_model.image_model(variants=(TestVariant("1x1", "", Decimal("0.02")),))
    for variant in (TestVariant("4x4", "", Decimal("0.05")), TestVariant("1x1", "", Decimal("0.01"))):
        make_model.publish_images(model, "portkey", variant)
    pricing = (await get(gateway, f"/v1/models/{model.id}")).json["pricing"]
    # The default of the model is that of the provider whose default costs least.
    assert [(each["size"], each["price"][:4], each["is_default"]) for each in pricing["images"]] == [
        ("1x1", "0.01", True),
        ("4x4", "0.05", False),
    ]


async def test_of_defaults_that_cost_the_same_that_of_the_first_provider_by_name_is_shown_and_served(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    model = make_model.image_model(variants=(TestVariant("2x2", "", Decimal("0.02")),))
    for variant in (TestVariant("1x1", "", Decimal("0.02")), TestVariant("4x4", "", Decimal("0.01"))):
        make_model.publish_images(model, "portkey", variant)
    pricing = (await get(gateway, f"/v1/models/{model.id}")).json["pricing"]
    (shown,) = [each["size"] for each in pricing["images"] if each["is_default"]]
    assert shown == (await draw(gateway, tenant(), model)).json["size"] == "2x2"


async def test_a_model_that_writes_shows_its_images_whoever_makes_them(
    gateway: RunningGateway, make_model: Models
) -> None:
    model = make_model(providers=("openrouter",))
    make_model.publish_images(model, "portkey", TestVariant("1x1", "", Decimal("0.01")))
    pricing = (await get(gateway, f"/v1/models/{model.id}")).json["pricing"]
    assert (pricing["input"], [each["size"] for each in pricing["images"]]) == ("1.000000000", ["1x1"])


async def test_a_model_that_makes_embeddings_is_listed_by_what_it_makes(
    gateway: RunningGateway, make_model: Models
) -> None:
    model = make_model.embedding_model()
    assert model.id in await listed(gateway, modality="embeddings")
    body = (await get(gateway, f"/v1/models/{model.id}")).json
    assert (body["max_output_tokens"], body["pricing"]["input"]) == (0, "1.000000000")


async def test_the_filters_narrow_the_list(gateway: RunningGateway, make_model: Models) -> None:
    free = make_model(providers=("featherless",), input_usd_per_mtok=0, output_usd_per_mtok=0).id
    assert free in await listed(gateway, free="true")
    assert free not in await listed(gateway, free="false")
    assert "openai/gpt-5-mini" not in await listed(gateway, free="true")
    assert free in await listed(gateway, provider="featherless")
    assert free not in await listed(gateway, provider="chutes")
    assert await listed(gateway, provider="nobody") == []
    assert "openai/gpt-5-mini" in await listed(gateway, modality="image")
    assert free not in await listed(gateway, modality="image")
    assert await listed(gateway, q=free.upper()) == [free]
    assert await listed(gateway, q="GPT-5 mini", provider="portkey", modality="text") == ["openai/gpt-5-mini"]


async def test_pages_follow_each_other_without_gap_or_repeat(gateway: RunningGateway) -> None:
    every = await listed(gateway)
    pages = [await listed(gateway, limit=2, offset=offset) for offset in range(0, len(every), 2)]
    assert [model_id for page in pages for model_id in page] == every == sorted(every)
    last = (await get(gateway, "/v1/models", {"limit": 2, "offset": len(every) - 1})).json
    assert (last["has_more"], last["total"]) == (False, len(every))
    assert (await get(gateway, "/v1/models", {"limit": 1})).json["has_more"] is True
    assert await listed(gateway, offset=1_000_000) == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ({"limit": "0"}, "limit"),
        ({"limit": "10001"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"limit": "9" * 5_000}, "limit"),
        ({"offset": "-1"}, "offset"),
        ({"free": "maybe"}, "free"),
        ({"q": "x" * 101}, "q"),
        ({"provider": "x" * 41}, "provider"),
    ],
)
async def test_a_filter_that_cannot_be_is_refused_by_name(
    gateway: RunningGateway, query: dict[str, str], param: str
) -> None:
    answer = await get(gateway, "/v1/models", query)
    assert answer.status == 400
    assert (answer.error["code"], answer.error["param"]) == ("invalid_request", param)


@pytest.mark.parametrize("model_id", ["no/such", "", "a%2Fb", "%00", "%F0%9F%99%82", "x" * 5_000, "..%2f..", "'--"])
async def test_an_unknown_model_is_not_found(gateway: RunningGateway, model_id: str) -> None:
    answer = await get(gateway, f"/v1/models/{model_id}")
    assert answer.status == 404
    assert answer.error["code"] in {"model_not_found", "unknown_path"}
    assert len(answer.raw) < 1_000


async def test_providers_are_judged_by_how_they_answered(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    await ask(gateway, customer, make_model(providers=("portkey",)), stream=True)
    # What was read for somebody else a moment ago is shown meanwhile.
    await asyncio.sleep(FRESH_MS / 1000)
    body = (await get(gateway, "/models/providers")).json
    providers = {provider["slug"]: provider for provider in body["data"]}
    assert set(providers) == {"openrouter", "portkey", "featherless", "chutes"}
    portkey = providers["portkey"]
    assert set(portkey) == {
        "slug", "name", "url", "model_count", "status", "success_rate", "median_latency_ms",
        "median_tokens_per_second", "breakers",
    }  # fmt: skip
    assert portkey["model_count"] > 0
    assert 0 < portkey["success_rate"] <= 1
    assert portkey["median_latency_ms"] >= 0
    assert portkey["status"] in {"healthy", "degraded", "down"}
