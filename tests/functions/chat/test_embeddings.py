import json
import math
from decimal import Decimal
from typing import Any

import openai
import psycopg
import pytest

from infra.local.simulator.embeddings import vector_of
from shared.core.money import nanos_from_dollars
from tests.functions.chat.books import (
    assert_settled,
    usage_line,
)
from tests.functions.chat.embedding_requests import NOWHERE, START, THREE, embed, vectors
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants


async def test_an_embedding_is_charged_by_what_the_provider_counted(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.embedding_model("prompt_tokens=17")
    answer = await embed(gateway, customer, model, "x" * 60)
    (served,) = simulator.requests(model.upstream_model)
    cost = json.loads(answer.raw, parse_float=Decimal)["usage"]["cost"]
    assert answer.json["usage"] == {"prompt_tokens": 17, "total_tokens": 17, "cost": pytest.approx(float(cost))}
    assert nanos_from_dollars(cost) == nanos_from_dollars(Decimal(served["cost"])) == 17_000
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["outcome"], line["shortfall_nanos"]) == ("provider", "completed", 0)
    assert (line["input_tokens"], line["output_tokens"], line["upstream_id"]) == (17, 0, served["id"])
    assert line["cost_nanos"] == assert_settled(customer, START) == 17_000
    assert answer.json["object"] == "list"
    assert answer.json["model"] == model.id
    assert answer.headers["X-Provider"] == "openrouter"


@pytest.mark.parametrize("encoding", [None, "float", "base64"])
@pytest.mark.parametrize("form", ["as_asked", "other", "reversed", "unnumbered"])
async def test_every_input_gets_its_vector_in_the_encoding_that_was_asked_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, encoding: str | None, form: str
) -> None:
    model = make_model.embedding_model(f"vectors={form}")
    answer = await embed(gateway, tenant(), model, THREE, encoding_format=encoding, dimensions=5)
    assert vectors(answer) == [vector_of(text, 5) for text in THREE]
    kind = str if encoding == "base64" else list
    assert all(isinstance(item["embedding"], kind) for item in answer.json["data"])


@pytest.mark.parametrize(
    ("given", "inputs"),
    [("alone", ["alone"]), (THREE, THREE), ([5, 6, 7], [[5, 6, 7]]), ([[5, 6], [7]], [[5, 6], [7]])],
    ids=["text", "texts", "tokens", "lists of tokens"],
)
async def test_texts_and_tokens_come_to_the_provider_as_they_are(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, given: Any, inputs: list[Any]
) -> None:
    answer = await embed(gateway, tenant(), make_model.embedding_model(), given, dimensions=4)
    assert vectors(answer) == [vector_of(each, 4) for each in inputs]


async def test_the_provider_is_asked_for_the_encoding_only_where_it_knows_of_one(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer = tenant()
    for provider, knows in (("portkey", True), ("featherless", False)):
        model = make_model.embedding_model(providers=(provider,))
        answer = await embed(gateway, customer, model, encoding_format="base64", models=[NOWHERE], provider=provider)
        assert isinstance(answer.json["data"][0]["embedding"], str)
        (served,) = simulator.requests(model.upstream_model)
        assert set(served["body_fields"]) == {"input", "model"} | ({"encoding_format"} if knows else set())


async def test_the_largest_batch_is_embedded(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    customer = tenant()
    texts = [f"number {index}" for index in range(2_048)]
    answer = await embed(
        gateway, customer, make_model.embedding_model(), texts, encoding_format="base64", dimensions=700
    )
    assert len(answer.raw) > 4_500_000
    assert "Content-Length" not in answer.headers
    assert vectors(answer) == [vector_of(text, 700) for text in texts]
    assert assert_settled(customer, START) > 0


@pytest.mark.parametrize("encoding", ["float", "base64"])
@pytest.mark.parametrize("dimensions", [None, 1, 7, 1_024])
async def test_a_test_key_gets_the_same_unit_vector_for_the_same_input(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, encoding: str, dimensions: int | None
) -> None:
    customer, model = tenant(environment="test", credit_nanos=0), make_model.embedding_model()
    asked: dict[str, Any] = {"encoding_format": encoding} | ({} if dimensions is None else {"dimensions": dimensions})
    first = vectors(await embed(gateway, customer, model, ["a", "b", "a"], **asked))
    again = vectors(await embed(gateway, customer, model, "a", **asked))
    assert first[0] == first[2] == again[0]
    assert {len(vector) for vector in first} == {dimensions or 1_536}
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-5) for vector in first)
    assert dimensions == 1 or first[0] != first[1]


async def test_a_test_key_is_not_answered_more_than_is_made_at_once(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(environment="test", credit_nanos=0)
    model = make_model.embedding_model()
    assert len(vectors(await embed(gateway, customer, model, ["a"] * 2_048, encoding_format="base64"))) == 2_048
    answer = await embed(gateway, customer, model, ["a"] * 2_048, dimensions=2_048)
    assert (answer.status, answer.error["param"]) == (400, "input")
    with psycopg.connect(customer.database_url) as connection:
        states = connection.execute("select state from gateway.holds where account_id = %s", (customer.account_id,))
        assert {state for (state,) in states} == {"settled", "voided"}


async def test_the_official_client_reads_what_it_asks_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.embedding_model()
    async with openai.AsyncOpenAI(api_key=customer.api_key, base_url=f"{gateway.url}/v1") as client:
        by_default = await client.embeddings.create(model=model.id, input=THREE, dimensions=4)
        as_floats = await client.embeddings.create(model=model.id, input=THREE, dimensions=4, encoding_format="float")
    for answer in (by_default, as_floats):
        assert [item.embedding for item in answer.data] == [vector_of(text, 4) for text in THREE]
        assert answer.usage.prompt_tokens > 0
