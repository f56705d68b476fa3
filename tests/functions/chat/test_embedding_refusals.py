from typing import Any

import pytest

from tests.functions.chat.books import (
    assert_settled,
    has_no_usage_line,
)
from tests.functions.chat.client import ask, post
from tests.functions.chat.embedding_requests import NOWHERE, PATH, START, embed, vectors
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": [""]}, "input"),
        ({"input": ["a", ""]}, "input"),
        ({"input": [[]]}, "input"),
        ({"input": ["a", [1]]}, "input"),
        ({"input": ["a", 1]}, "input"),
        ({"input": [1, "a"]}, "input"),
        ({"input": [-1]}, "input"),
        ({"input": [True]}, "input"),
        ({"input": [1.5]}, "input"),
        ({"input": [[2**31]]}, "input"),
        ({"input": {"text": "a"}}, "input"),
        ({"input": [{"text": "a"}]}, "input"),
        ({"input": 7}, "input"),
        ({"input": None}, "input"),
        ({"input": ["a"] * 2_049}, "input"),
        ({"input": [[1]] * 2_049}, "input"),
        ({"input": "a", "encoding_format": "int8"}, "encoding_format"),
        ({"input": "a", "dimensions": 0}, "dimensions"),
        ({"input": "a", "dimensions": 16_385}, "dimensions"),
        ({"input": "a", "dimensions": "8"}, "dimensions"),
        ({"input": "a", "dimensions": True}, "dimensions"),
        ({"input": ["a"] * 2_048, "dimensions": 3_073}, "input"),
        ({"input": "a", "note": "x" * 16_385}, "note"),
        ({"input": ["a"] * 2_048, "note": "x" * 3_000_000, "other": "y" * 9_000}, "note"),
        ({"input": "a", "a name!": "x" * 16_385}, None),
        ({"input": "a", "provider": {"order": "x"}}, "provider.order"),
        ({"input": "a", "models": ["a"] * 9}, "models"),
        ({"input": "a", "stream": True}, "stream"),
        ({"input": "a", "session_id": "sess_1"}, "session_id"),
        ({"input": "a", "plugins": [{"id": "web"}]}, "plugins"),
        ({"input": "a", "service_tier": "priority"}, "service_tier"),
        ({"input": "a", "model": "nowhere/nothing:online"}, "model"),
    ],
    ids=lambda given: str(given)[:40],
)
async def test_a_wrong_field_is_refused_by_name(
    gateway: RunningGateway, customer: Tenant, fields: dict[str, Any], param: str | None
) -> None:
    answer = await post(gateway.url, {"model": NOWHERE, **fields}, customer.headers, PATH)
    assert (answer.status, answer.error["param"]) == (400, param), answer.raw
    assert has_no_usage_line(customer)


async def test_a_session_named_outside_the_body_is_refused(gateway: RunningGateway, customer: Tenant) -> None:
    answer = await embed(gateway, customer, NOWHERE, headers={"X-Session-Id": "sess_1"})
    assert (answer.status, answer.error["param"]) == (400, "session_id")


async def test_halves_of_emoji_are_embedded(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    model = make_model.embedding_model(providers=("featherless",))
    body = b'{"model":"%b","input":["cut \\ud83d"]}' % model.id.encode()
    assert len(vectors(await post(gateway.url, body, tenant().headers, PATH))) == 1


async def test_a_model_is_asked_only_for_what_it_makes(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, writes, embeds = tenant(), make_model(), make_model.embedding_model()
    refused = await embed(gateway, customer, writes)
    assert (refused.status, refused.error["code"], refused.error["param"]) == (400, "model_not_for_this", "model")
    assert "/v1/chat/completions" in refused.error["message"]
    refused = await ask(gateway, customer, embeds)
    assert (refused.status, refused.error["code"]) == (400, "model_not_for_this")
    assert PATH in refused.error["message"]
    served = await embed(gateway, customer, writes, models=[embeds.id])
    assert (served.status, served.json["model"]) == (200, embeds.id)


async def test_a_provider_that_makes_no_embeddings_is_not_asked(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.embedding_model(providers=("chutes",))
    answer = await embed(gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (404, "no_provider_available")
    assert simulator.requests(model.upstream_model) == []
    assert assert_settled(customer, START) == 0


async def test_without_data_collection_only_providers_are_asked_that_can_be_told_so(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer = tenant()
    model = make_model.embedding_model(providers=("featherless", "openrouter"))
    for _ in range(2):
        answer = await embed(gateway, customer, model, provider={"data_collection": "deny"})
        assert (answer.status, answer.headers["X-Provider"]) == (200, "openrouter")
    assert all("provider" in served["body_fields"] for served in simulator.requests(model.upstream_model))


async def test_without_credit_nothing_is_embedded(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model.embedding_model()
    answer = await embed(gateway, tenant(credit_nanos=0), model)
    assert (answer.status, answer.error["code"]) == (402, "insufficient_credits")
    assert answer.error["message"].endswith("Add credits, or send fewer or shorter inputs.")
    assert simulator.requests(model.upstream_model) == []


@pytest.fixture(scope="module")
def customer(stack: Any) -> Tenant:
    """One account for requests that leave nothing behind."""
    return Tenants(stack.database_url, stack.credentials.gateway_secret)()
