from decimal import Decimal
from typing import Any

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, has_no_usage_line
from tests.functions.chat.client import Answer, ask, post
from tests.functions.images.client import PATH, draw
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestVariant

START = 10 * NANOS_PER_DOLLAR
INVALID, UNSUPPORTED = "invalid_request", "unsupported_parameter"


def _assert_refused(answer: Answer, customer: Tenant, code: str, param: str | None) -> None:
    assert (answer.status, answer.error["code"], answer.error["param"]) == (400, code, param), answer.raw
    assert not answer.error["retryable"]
    assert assert_settled(customer, START) == 0
    assert has_no_usage_line(customer)
    assert customer.books.holds() == []


@pytest.mark.parametrize(
    ("fields", "code", "param"),
    [
        ({"prompt": ""}, INVALID, "prompt"),
        ({"prompt": None}, INVALID, "prompt"),
        ({"prompt": ["a"]}, INVALID, "prompt"),
        ({"prompt": "x" * 32_001}, INVALID, "prompt"),
        ({"model": ""}, INVALID, "model"),
        ({"model": 5}, INVALID, "model"),
        ({"n": 0}, INVALID, "n"),
        ({"n": 11}, INVALID, "n"),
        ({"n": True}, INVALID, "n"),
        ({"n": 1.0}, INVALID, "n"),
        ({"n": 10**30}, INVALID, "n"),
        ({"size": "large; drop"}, INVALID, "size"),
        ({"size": ""}, INVALID, "size"),
        ({"size": 1024}, INVALID, "size"),
        ({"quality": "HD"}, INVALID, "quality"),
        ({"response_format": "bytes"}, INVALID, "response_format"),
        ({"output_format": "gif"}, INVALID, "output_format"),
        ({"output_compression": 101}, INVALID, "output_compression"),
        ({"background": "red"}, INVALID, "background"),
        ({"moderation": "none"}, INVALID, "moderation"),
        ({"style": ""}, INVALID, "style"),
        ({"user": "x" * 513}, INVALID, "user"),
        ({"models": ["m"] * 9}, INVALID, "models"),
        ({"provider": {"only": "openrouter"}}, INVALID, "provider.only"),
        ({"stream": "yes"}, INVALID, "stream"),
        ({"stream": True}, UNSUPPORTED, "stream"),
        ({"partial_images": 2}, UNSUPPORTED, "partial_images"),
        ({"partial_images": False}, UNSUPPORTED, "partial_images"),
        ({"image": "data:image/png;base64,AA=="}, UNSUPPORTED, "image"),
        ({"input_references": []}, UNSUPPORTED, "input_references"),
        ({"resolution": "4K"}, UNSUPPORTED, "resolution"),
        ({"simulate": {"images": 0}}, UNSUPPORTED, "simulate"),
        ({"a b\n": 1}, UNSUPPORTED, None),
        ({"provider": {"data_collection": "deny"}}, UNSUPPORTED, "provider.data_collection"),
    ],
)
async def test_what_is_not_in_the_contract_is_refused_by_name_before_anything_is_held(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, *, fields: dict[str, Any], code: str, param: str
) -> None:
    customer, model = tenant(), make_model.image_model()
    answer = await post(gateway.url, {"model": model.id, "prompt": "A cat.", **fields}, customer.headers, PATH)
    _assert_refused(answer, customer, code, param)


async def test_a_field_that_is_null_is_as_one_that_is_missing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    nulls: dict[str, Any] = dict.fromkeys(
        ("n", "size", "quality", "stream", "partial_images", "response_format", "anything")
    )
    assert (await draw(gateway, tenant(), make_model.image_model(), **nulls)).status == 200


async def test_a_size_that_is_not_offered_is_refused_with_those_that_are(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    variants = (TestVariant("1024x1024", "standard", Decimal(1)), TestVariant("1024x1024", "hd", Decimal(2)))
    customer, model = tenant(), make_model.image_model(variants=variants)
    answer = await draw(gateway, customer, model, size="512x512")
    _assert_refused(answer, customer, "image_variant_not_offered", "size")
    assert "Offered are: 1024x1024 hd, 1024x1024 standard." in answer.error["message"]
    assert simulator.requests(model.upstream_model) == []


@pytest.mark.parametrize("path", [PATH, "/images/generate"])
@pytest.mark.parametrize(("query", "headers"), [("?session_id=sess_42", {}), ("", {"X-Session-Id": "sess_42"})])
async def test_a_session_is_refused_rather_than_left_without_its_images(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, *, path: str, query: str, headers: dict[str, str]
) -> None:
    customer, model = tenant(), make_model.image_model()
    body = {"model": model.id, "prompt": "A cat."}
    answer = await post(gateway.url, body, {**customer.headers, **headers}, path + query)
    _assert_refused(answer, customer, INVALID, "session_id")


async def test_a_size_that_is_offered_in_another_quality_alone_is_refused_with_those_offered(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    variants = (TestVariant("1024x1024", "standard", Decimal(1)), TestVariant("512x512", "low", Decimal(2)))
    customer, model = tenant(), make_model.image_model(variants=variants)
    for fields in ({"size": "512x512"}, {"quality": "low"}, {"size": "512x512", "quality": "auto"}):
        answer = await draw(gateway, customer, model, **fields)
        _assert_refused(answer, customer, "image_variant_not_offered", "size")
        assert "512x512 low" in answer.error["message"]


async def test_each_model_is_asked_at_its_own_path(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer = tenant()
    chat, images, embeddings = make_model(), make_model.image_model(), make_model.embedding_model()
    for model in (chat, embeddings):
        answer = await draw(gateway, customer, model)
        _assert_refused(answer, customer, "model_not_for_this", "model")
        assert "/v1/chat/completions" in answer.error["message"]
    answer = await ask(gateway, customer, images)
    _assert_refused(answer, customer, "model_not_for_this", "model")
    assert "/v1/images/generations" in answer.error["message"]
    answer = await draw(gateway, tenant(environment="test", credit_nanos=0), chat)
    assert answer.error["code"] == "model_not_for_this"
    assert [simulator.requests(model.upstream_model) for model in (chat, images, embeddings)] == [[], [], []]


async def test_an_unknown_model_and_one_whose_providers_make_no_images_are_not_found(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    answer = await draw(gateway, tenant(), "no/such")
    assert (answer.status, answer.error["code"]) == (404, "model_not_found")
    # Featherless and Chutes speak no images dialect, whatever a price says.
    model = make_model.image_model(providers=("featherless", "chutes"))
    answer = await draw(gateway, tenant(), model)
    assert (answer.status, answer.error["code"]) == (404, "no_provider_available")
    answer = await draw(gateway, tenant(), make_model.image_model(), provider="portkey")
    assert (answer.status, answer.error["code"]) == (404, "no_provider_available")


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ("status=400", 400),
        ("status=401", 502),
        ("status=402", 502),
        ("status=429,retry_after=7", 429),
        ("status=500", 502),
        ("cut=before_headers", 502),
        ("cut=mid_stream", 502),
    ],
)
async def test_a_provider_s_refusal_keeps_its_meaning_and_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, *, script: str, status: int
) -> None:
    customer = tenant()
    answer = await draw(gateway, customer, make_model.image_model(script))
    assert answer.status == status, answer.raw
    assert answer.error["message"]
    assert assert_settled(customer, START) == 0
