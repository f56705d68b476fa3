import base64
from decimal import Decimal
from typing import Any

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.catalog.client import get
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.images.client import draw
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenants, TestVariant

START = 10 * NANOS_PER_DOLLAR
IMAGE = NANOS_PER_DOLLAR * 4 // 100
VARIANTS = (
    TestVariant("1024x1024", "standard", Decimal("0.04")),
    TestVariant("1024x1024", "hd", Decimal("0.08")),
    TestVariant("1792x1024", "standard", Decimal("0.07")),
)


@pytest.mark.parametrize("path", ["/v1/images/generations", "/images/generate"])
@pytest.mark.parametrize("provider", ["openrouter", "portkey"])
async def test_an_image_comes_and_is_charged_at_its_price(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, *, path: str, provider: str
) -> None:
    customer, model = tenant(), make_model.image_model(providers=(provider,), markup_ppm=50_000)
    answer = await draw(gateway, customer, model, path=path)
    assert answer.status == 200, answer.raw
    body = answer.json
    (image,) = body["data"]
    assert base64.b64decode(image["b64_json"], validate=True)
    assert image["revised_prompt"] == "a revised prompt"
    assert (body["size"], body["quality"]) == ("1024x1024", "standard")
    assert body["usage"] == {
        "input_tokens": 10,
        "output_tokens": 1056,
        "total_tokens": 1066,
        "images": 1,
        "cost": 0.042,
    } | ({"input_tokens_details": {"text_tokens": 10, "image_tokens": 0}} if provider == "portkey" else {})
    assert answer.raw.endswith(b'"cost":0.042}}')
    assert answer.headers["X-Provider"] == provider
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["outcome"], line["shortfall_nanos"]) == ("provider", "completed", 0)
    assert assert_settled(customer, START) == IMAGE * 105 // 100
    # What the provider charges us is what its price says.
    assert line["provider_cost_nanos"] == IMAGE


@pytest.mark.parametrize(
    ("asked", "size", "quality", "cents"),
    [
        ({}, "1024x1024", "standard", 4),
        ({"size": "auto", "quality": "auto"}, "1024x1024", "standard", 4),
        ({"quality": "hd"}, "1024x1024", "hd", 8),
        ({"size": "1792x1024"}, "1792x1024", "standard", 7),
        ({"size": "1024x1024", "quality": "hd", "n": 3}, "1024x1024", "hd", 24),
    ],
)
async def test_what_is_charged_is_what_is_asked_upstream(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    *,
    asked: dict[str, Any],
    size: str,
    quality: str,
    cents: int,
) -> None:
    customer, model = tenant(), make_model.image_model(variants=VARIANTS, providers=("portkey",))
    answer = await draw(gateway, customer, model, **asked)
    assert answer.status == 200, answer.raw
    (served,) = simulator.requests(model.upstream_model)
    sent = served["image_request"]
    assert (sent["size"], sent["quality"]) == (size, quality) == (answer.json["size"], answer.json["quality"])
    assert assert_settled(customer, START) == cents * NANOS_PER_DOLLAR // 100


async def test_a_model_without_size_and_quality_is_asked_for_none(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.image_model(variants=(TestVariant("", "", Decimal("0.01")),))
    answer = await draw(gateway, customer, model)
    assert {"size", "quality"} & set(answer.json) == set()
    (served,) = simulator.requests(model.upstream_model)
    assert set(served["body_fields"]) == {"model", "prompt"}


async def test_a_provider_is_sent_what_it_knows_and_nothing_of_ours(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    fields: dict[str, Any] = {
        "n": 1,
        "response_format": "b64_json",
        "output_format": "webp",
        "output_compression": 50,
        "background": "opaque",
        "style": "vivid",
        "moderation": "low",
        "user": "somebody",
        "stream": False,
        "partial_images": 0,
    }
    ours: dict[str, Any] = {"models": [], "provider": {"allow_fallbacks": False}}
    sent: dict[str, set[str]] = {}
    for provider in ("openrouter", "portkey"):
        model = make_model.image_model(providers=(provider,))
        answer = await draw(gateway, tenant(), model, **fields, **ours)
        assert answer.status == 200, answer.raw
        (served,) = simulator.requests(model.upstream_model)
        sent[provider] = set(served["body_fields"])
    always = {"model", "prompt", "size", "quality"}
    assert sent["openrouter"] == always | {"n", "output_format", "output_compression", "background"}
    assert sent["portkey"] == always | (set(fields) - {"stream", "partial_images"})


@pytest.mark.parametrize(
    ("script", "came"),
    [
        ("images=1", 1),
        ("image_form=broken,image_forms=2", 1),
        ("image_form=nothing,image_forms=1", 2),
        ("image_form=bad_url,image_forms=1", 2),
        ("images=5", 3),
    ],
)
async def test_images_that_do_not_come_or_cannot_be_used_are_free(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, script: str, came: int
) -> None:
    customer, model = tenant(), make_model.image_model(script)
    answer = await draw(gateway, customer, model, n=3)
    assert answer.status == 200, answer.raw
    assert len(answer.json["data"]) == answer.json["usage"]["images"] == came
    assert assert_settled(customer, START) == came * IMAGE
    assert [hold.state for hold in customer.books.holds()] == ["settled"]


@pytest.mark.parametrize(
    "script", ["images=0", "image_form=broken", "image_form=nothing", "garbage=1", "error_event=1", "status=503"]
)
async def test_a_provider_that_makes_none_is_followed_by_the_next_and_alone_it_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, script: str
) -> None:
    customer = tenant()
    failing, healthy = make_model.image_model(script), make_model.image_model(providers=("portkey",))
    answer = await draw(gateway, customer, failing)
    assert answer.status in (502, 503), answer.raw
    assert answer.error["retryable"]
    assert assert_settled(customer, START) == 0
    answer = await draw(gateway, customer, failing, models=[healthy.id])
    assert (answer.status, answer.headers["X-Provider"]) == (200, "portkey"), answer.raw
    assert assert_settled(customer, START) == IMAGE


@pytest.mark.parametrize(
    ("form", "provider", "field"),
    [
        (None, "openrouter", "b64_json"),
        ("b64_json", "openrouter", "b64_json"),
        ("url", "openrouter", "url"),
        ("b64_json", "portkey", "b64_json"),
        ("url", "portkey", "url"),
    ],
)
async def test_an_image_comes_in_the_form_that_is_asked_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, *, form: str | None, provider: str, field: str
) -> None:
    fields = {} if form is None else {"response_format": form}
    answer = await draw(gateway, tenant(), make_model.image_model(providers=(provider,)), **fields)
    (image,) = answer.json["data"]
    assert set(image) == {field, "revised_prompt"} | ({"media_type"} if field == "b64_json" else set())
    if field == "url":
        assert image["url"].startswith("data:image/png;base64," if provider == "openrouter" else "https://")


async def test_an_image_by_its_url_alone_is_none_for_who_asks_for_base64(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.image_model("image_form=url")
    answer = await draw(gateway, customer, model, response_format="b64_json")
    assert answer.status == 502
    assert assert_settled(customer, START) == 0


@pytest.mark.parametrize("script", ["usage=missing", "usage=garbage"])
async def test_usage_that_is_missing_or_makes_no_sense_changes_no_charge(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, script: str
) -> None:
    customer, model = tenant(), make_model.image_model(script)
    answer = await draw(gateway, customer, model, n=2)
    assert answer.json["usage"] == {"images": 2, "cost": 0.08}
    assert assert_settled(customer, START) == 2 * IMAGE


async def test_a_provider_that_charges_us_more_is_paid_by_the_house(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.image_model("cost=0.5")
    answer = await draw(gateway, customer, model)
    assert b'"cost":0.04}' in answer.raw
    line = usage_line(customer, answer.generation_id)
    assert line["cost_excess_nanos"] == 46 * NANOS_PER_DOLLAR // 100
    assert assert_settled(customer, START) == IMAGE


async def test_the_balance_has_to_cover_all_the_images_asked_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(credit_nanos=3 * IMAGE), make_model.image_model()
    answer = await draw(gateway, customer, model, n=4)
    assert (answer.status, answer.error["code"]) == (402, "insufficient_credits")
    assert "0.160000000 USD" in answer.error["message"]
    assert answer.error["message"].endswith("Add credits, or ask for fewer or cheaper images.")
    assert simulator.requests(model.upstream_model) == []
    assert (await draw(gateway, customer, model, n=3)).status == 200
    assert assert_settled(customer, 3 * IMAGE) == 3 * IMAGE


async def test_images_count_as_a_request_and_not_as_tokens(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(limits=PlanLimits(requests_per_minute=2, tokens_per_minute=5, tokens_per_day=5))
    model = make_model.image_model()
    for _ in range(2):
        assert (await draw(gateway, customer, model)).status == 200
    assert (await draw(gateway, customer, model)).status == 429


async def test_a_test_key_gets_a_small_png_for_nothing_from_whatever_model(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(environment="test", credit_nanos=0), make_model.image_model(variants=VARIANTS)
    answer = await draw(gateway, customer, model, n=2, size="1792x1024", quality="hd")
    assert answer.status == 200, answer.raw
    assert simulator.requests(model.upstream_model) == []
    body = answer.json
    assert (body["size"], body["quality"], body["output_format"]) == ("1792x1024", "hd", "png")
    assert body["usage"] == {"images": 2, "cost": 0}
    pictures = [base64.b64decode(image["b64_json"]) for image in body["data"]]
    assert all(picture.startswith(b"\x89PNG\r\n\x1a\n") and len(picture) < 1_000 for picture in pictures)
    assert pictures[0] != pictures[1]


async def test_what_was_asked_and_charged_is_told_afterwards(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.image_model()
    made = await draw(gateway, customer, model, n=2)
    shown = (await get(gateway, f"/v1/generations/{made.generation_id}", headers=customer.headers)).json
    assert (shown["model"], shown["request"]["choices"]) == (model.id, 2)
    assert shown["quantities"]["images"] == 2
    assert shown["price"]["rates"]["images"] == "40000.000000000"


@pytest.mark.parametrize("prompt", ["\ud83d half", "é" * 32_000, "\x00"])
async def test_a_prompt_passes_as_it_is(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, prompt: str
) -> None:
    assert (await draw(gateway, tenant(), make_model.image_model(), prompt=prompt)).status == 200


async def test_the_models_of_a_new_installation_make_images(
    gateway: RunningGateway, tenant: Tenants, simulator: Simulator
) -> None:
    customer, after = tenant(), simulator.last_seq()
    answer = await draw(gateway, customer, "openai/dall-e-3", size="1024x1792", quality="hd")
    assert (answer.status, answer.headers["X-Provider"]) == (200, "portkey")
    answer = await draw(gateway, customer, "bytedance-seed/seedream-4.5", size="4K")
    assert (answer.status, answer.headers["X-Provider"], answer.json["size"]) == (200, "openrouter", "4K")
    assert "quality" not in answer.json
    assert len(simulator.requests(after=after)) >= 2
    assert assert_settled(customer, START) == (12 + 4) * NANOS_PER_DOLLAR * 105 // 10_000
