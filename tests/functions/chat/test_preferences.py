from typing import Any

import pytest

from tests.functions.chat.books import usage_line
from tests.functions.chat.client import ask
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

ALL = ("openrouter", "portkey", "featherless")


@pytest.mark.parametrize(
    ("preferences", "served_by"),
    [
        ("portkey", "portkey"),
        ({"only": ["portkey"]}, "portkey"),
        ({"order": ["portkey", "openrouter"]}, "portkey"),
        ({"order": ["nobody", "openrouter"]}, "openrouter"),
        ({"order": ["nobody", "openrouter"], "allow_fallbacks": False}, "openrouter"),
        ({"ignore": ["featherless", "openrouter"]}, "portkey"),
        ({"data_collection": "deny"}, "openrouter"),
        ({"data_collection": "deny", "order": ["portkey"]}, "openrouter"),
        ({"data_collection": "allow", "only": ["featherless"]}, "featherless"),
    ],
)
async def test_the_caller_s_preferences_choose_the_provider(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, preferences: Any, served_by: str
) -> None:
    answer = await ask(gateway, tenant(), make_model(providers=ALL), provider=preferences)
    assert answer.status == 200, answer.raw
    assert answer.headers["X-Provider"] == served_by


@pytest.mark.parametrize(
    "preferences",
    [
        "nobody",
        {"only": []},
        {"only": ["nobody"]},
        {"ignore": list(ALL)},
        {"order": ["nobody"], "allow_fallbacks": False},
        {"only": ["portkey"], "data_collection": "deny"},
    ],
)
async def test_preferences_that_leave_nobody_are_refused_before_any_call(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, preferences: Any
) -> None:
    customer, model = tenant(), make_model(providers=ALL)
    answer = await ask(gateway, customer, model, provider=preferences)
    assert (answer.status, answer.error["code"]) == (404, "no_provider_available")
    assert simulator.requests(model.upstream_model) == []
    assert customer.books.holds() == []


async def test_without_fallbacks_one_provider_is_tried(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model("status=500", providers=ALL)
    answer = await ask(gateway, tenant(), model, provider={"allow_fallbacks": False})
    assert answer.status == 502
    assert len(simulator.requests(model.upstream_model)) == 1


async def test_an_order_without_fallbacks_is_tried_to_its_end(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model("status=500", providers=ALL)
    preferences = {"order": ["portkey", "openrouter"], "allow_fallbacks": False}
    answer = await ask(gateway, tenant(), model, provider=preferences)
    assert answer.status == 502
    assert [served["provider"] for served in simulator.requests(model.upstream_model)] == ["portkey", "openrouter"]


@pytest.mark.parametrize("sort", ["price", "latency", "throughput", None])
async def test_every_sort_is_served(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, sort: str | None
) -> None:
    answer = await ask(gateway, tenant(), make_model(providers=ALL), provider={"sort": sort})
    assert answer.status == 200, answer.raw


async def test_data_collection_is_told_to_the_provider_that_honours_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model(providers=ALL)
    await ask(gateway, tenant(), model, provider={"data_collection": "deny"})
    (served,) = simulator.requests(model.upstream_model)
    assert "provider" in served["body_fields"]


async def test_fallback_models_are_tried_in_turn_and_the_one_that_serves_is_charged(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    failing, dear, unused = make_model("status=503"), make_model(output_usd_per_mtok=50), make_model()
    answer = await ask(gateway, customer, failing, models=[dear.id, unused.id, dear.id])
    assert answer.status == 200, answer.raw
    line = usage_line(customer, answer.generation_id)
    assert (line["model_id"], line["price_id"]) == (dear.id, dear.price_ids["openrouter"])


async def test_the_hold_covers_the_dearest_fallback(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    poor, cheap, dear = tenant(credit_nanos=1_000_000), make_model(), make_model(output_usd_per_mtok=50)
    assert (await ask(gateway, poor, cheap, max_tokens=100)).status == 200
    answer = await ask(gateway, poor, cheap, max_tokens=100, models=[dear.id])
    assert (answer.status, answer.error["code"]) == (402, "insufficient_credits")
    assert len(simulator.requests(cheap.upstream_model)) == 1


async def test_an_unknown_fallback_does_no_harm(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    assert (await ask(gateway, tenant(), make_model(), models=["nobody/nothing"])).status == 200
    assert (await ask(gateway, tenant(), "nobody/nothing", models=[make_model().id])).status == 200
