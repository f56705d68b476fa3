"""The job that syncs the providers' lists, on the lists that the simulated providers have: hundreds of models."""

from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from infra.local.ports import LOOPBACK, choose_free_ports
from infra.local.simulator.catalog import PROVIDERS, find_offer
from infra.local.stack import LocalStack
from tests.functions.catalog.client import get
from tests.functions.chat.books import usage_line
from tests.functions.chat.client import ask
from tests.functions.keys.client import Holder
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Tenants
from tests.shared.flows.listed import catalog_rows

SECRET = "a cron secret of the tests"
JOB = "/internal/jobs/catalog_sync"
CHANGES = ("added", "changed", "retired", "returned", "pending", "lists_unread", "lists_waiting")
# What nobody has listed cannot be missed.
FORGET = "update gateway.provider_offers set is_listed = false"


@pytest.fixture(scope="module")
def gateway(catalog_stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(catalog_stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture
async def synced(catalog_stack: LocalStack, gateway: RunningGateway) -> dict[str, int]:
    with psycopg.connect(catalog_stack.database_url) as session:
        session.execute(FORGET.encode())
    return await _sync(gateway)


async def _sync(gateway: RunningGateway) -> dict[str, int]:
    answer = await Holder(gateway, SECRET).call("POST", JOB)
    assert answer.status == 200, answer.raw
    return {name: count for name, count in answer.json.items() if name != "job" and count}


async def test_the_recorded_lists_again_write_no_row(
    catalog_stack: LocalStack, gateway: RunningGateway, synced: dict[str, int]
) -> None:
    offered = sum(synced.get(name, 0) for name in ("added", "changed", "unchanged"))
    assert offered > 300
    before = catalog_rows(catalog_stack)
    assert len(before["models"]) > 300
    again = await _sync(gateway)
    assert again == {"unchanged": offered, "skipped": synced["skipped"]}
    assert catalog_rows(catalog_stack) == before


@pytest.mark.usefixtures("synced")
async def test_a_synced_price_is_the_lists_with_the_markup(gateway: RunningGateway) -> None:
    models = {model["id"]: model for model in (await get(gateway, "/v1/models")).json["data"]}
    for offer in PROVIDERS["openrouter"].offers.values():
        model = models.get(offer.model)
        if model is None or "openrouter" not in model["providers"]:
            continue
        offers = (await get(gateway, f"/v1/models/{offer.model}")).json["offers"] if len(model["providers"]) > 1 else []
        pricing = next((each["pricing"] for each in offers if each["provider"] == "openrouter"), model["pricing"])
        assert Decimal(pricing["input"]) == offer.input_usd * Decimal("1.05"), offer.model
        assert Decimal(pricing["output"]) == offer.output_usd * Decimal("1.05"), offer.model
    assert len(models) > 300
    # A router costs what it routes to, and a search costs more than its tokens.
    assert not {"openrouter/auto", "perplexity/sonar"} & set(models)
    assert models["meta-llama/llama-3.3-70b-instruct:free"]["pricing"]["input"] == "0.000000000"


@pytest.mark.usefixtures("synced")
async def test_a_model_has_the_offers_of_all_who_list_it_under_whatever_name(gateway: RunningGateway) -> None:
    body = (await get(gateway, "/v1/models/Qwen/Qwen3-32B")).json
    assert (body["id"], body["aliases"]) == ("qwen/qwen3-32b", ["Qwen/Qwen3-32B"])
    assert {offer["provider"]: offer["context_length"] for offer in body["offers"]} == {
        "chutes": 40_960,
        "openrouter": 40_960,
        "featherless": 32_768,
    }
    portkey = (await get(gateway, "/v1/models/@anthropic/claude-opus-4-1-20250805")).json
    assert (portkey["id"], portkey["providers"]) == ("anthropic/claude-opus-4.1", ["openrouter", "portkey"])
    by_class = (await get(gateway, "/v1/models/meta-llama/llama-3-8b-instruct")).json
    assert [offer["pricing"]["output"] for offer in by_class["offers"]] == ["0.042000000", "0.105000000"]
    found = (await get(gateway, "/v1/models", {"q": "@anthropic/claude-opus-4-1-2025"})).json["data"]
    assert [model["id"] for model in found] == ["anthropic/claude-opus-4.1"]


@pytest.mark.usefixtures("synced")
@pytest.mark.parametrize(
    ("name", "model_id", "provider", "upstream_model"),
    [
        ("deepseek-ai/DeepSeek-V3.1", "deepseek/deepseek-chat-v3.1", "chutes", "deepseek-ai/DeepSeek-V3.1"),
        ("zai-org/GLM-5-TEE", "z-ai/glm-5", "openrouter", "z-ai/glm-5"),
        ("@openai/gpt-4o", "openai/gpt-4o", "openrouter", "openai/gpt-4o"),
        ("google/gemini-2.5-flash", "google/gemini-2.5-flash", "openrouter", "google/gemini-2.5-flash"),
    ],
)
async def test_a_model_is_asked_by_any_name_and_billed_as_itself(
    catalog_stack: LocalStack, gateway: RunningGateway, name: str, model_id: str, *, provider: str, upstream_model: str
) -> None:
    tenants = Tenants(catalog_stack.database_url, catalog_stack.credentials.gateway_secret)
    simulator, offer = Simulator(catalog_stack.ports.simulator), find_offer(PROVIDERS[provider], upstream_model)
    nanos = {"input_nanos": int(offer.input_usd * 1000), "output_nanos": int(offer.output_usd * 1000)}
    customer, billed_before = tenants(), simulator.bill_nanos(upstream_model, **nanos)
    answer = await ask(gateway, customer, name, provider={"only": [provider]})
    assert answer.status == 200, answer.raw
    assert answer.headers["X-Provider"] == provider
    line = usage_line(customer, answer.generation_id)
    assert (line["model_id"], line["provider"]) == (model_id, provider)
    billed = simulator.bill_nanos(upstream_model, **nanos) - billed_before
    assert billed == line["provider_cost_nanos"] > 0
    assert customer.books.broken_rules() == []


async def test_a_provider_that_is_down_takes_nothing_from_the_others(
    catalog_stack: LocalStack, synced: dict[str, int]
) -> None:
    (closed_port,) = choose_free_ports(1)
    gateways = Gateways(catalog_stack)
    before = catalog_rows(catalog_stack)
    try:
        lonely = gateways(CRON_SECRET=SECRET, OPENROUTER_BASE_URL=f"http://{LOOPBACK}:{closed_port}/v1")
        counts = await _sync(lonely)
    finally:
        gateways.stop_all()
    assert {name: counts[name] for name in CHANGES if name in counts} == {"lists_unread": 1}
    assert 0 < counts["unchanged"] < synced["skipped"] + 300
    assert catalog_rows(catalog_stack) == before
