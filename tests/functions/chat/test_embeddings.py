import asyncio
import base64
import json
import math
import struct
from decimal import Decimal
from typing import Any

import aiohttp
import openai
import psycopg
import pytest

from infra.local.simulator.embeddings import vector_of
from shared.core.money import NANOS_PER_DOLLAR, nanos_from_dollars
from tests.functions.chat.asked_again import assert_replayed
from tests.functions.chat.books import (
    assert_settled,
    has_no_usage_line,
    only_usage_line,
    usage_line,
    wait_until_settled,
)
from tests.functions.chat.client import Answer, ask, post
from tests.functions.chat.raw_provider import RawProvider
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

PATH = "/v1/embeddings"
START = 10 * NANOS_PER_DOLLAR
READ_HOLD = "select amount_nanos from gateway.holds where account_id = %s"
THREE = ["one", "another", "the third"]
# A model name that no gateway would take for one: a wrong body is refused before anything is looked up.
NOWHERE = "nowhere/nothing"


async def embed(
    gateway: RunningGateway,
    tenant: Tenant,
    model: TestModel | str,
    /,
    given: Any = "Say something.",
    headers: dict[str, str] | None = None,
    **fields: Any,
) -> Answer:
    name = model if isinstance(model, str) else model.id
    body = {"model": name, "input": given, **fields}
    return await post(gateway.url, body, {**tenant.headers, **(headers or {})}, PATH)


def vectors(answer: Answer) -> list[list[float]]:
    """Return the vectors of an answer, checked to be numbered in order."""
    assert answer.status == 200, answer.raw
    assert [item["index"] for item in answer.json["data"]] == list(range(len(answer.json["data"])))
    return [unpacked(item["embedding"]) for item in answer.json["data"]]


def unpacked(embedding: str | list[float]) -> list[float]:
    if isinstance(embedding, list):
        return embedding
    packed = base64.b64decode(embedding, validate=True)
    return list(struct.unpack(f"<{len(packed) // 4}f", packed))


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


@pytest.mark.parametrize(
    ("given", "most_tokens"),
    [("word " * 100, 250), ("漢字" * 50, 150), ("9" * 100, 100), ([7] * 40, 40), (["a", "b"], 1), ([[1, 2], [3]], 3)],
    ids=["words", "characters", "digits", "tokens", "texts", "lists of tokens"],
)
async def test_the_hold_pays_for_every_token_that_an_input_may_have(
    *,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    given: Any,
    most_tokens: int,
) -> None:
    customer, gate = tenant(), f"held-{most_tokens}"
    model = make_model.embedding_model(f"gate={gate}")
    asking = asyncio.create_task(embed(gateway, customer, model, given))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    held = customer.balance()["held_nanos"]
    inputs = 2 if isinstance(given[0], list) or len(given) == 2 else 1
    assert held == (most_tokens + inputs * 16) * 1_000
    simulator.open_gate(gate)
    assert (await asking).status == 200
    assert 0 < assert_settled(customer, START) <= held


@pytest.mark.parametrize("usage", ["missing", "negative", "huge", "garbage"])
async def test_what_a_provider_does_not_tell_or_cannot_have_used_is_counted(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, usage: str
) -> None:
    customer, model = tenant(), make_model.embedding_model(f"usage={usage}", providers=("portkey",))
    answer = await embed(gateway, customer, model, ["x" * 100, [1, 2, 3]][:1])
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["input_tokens"]) == ("counted", 25)
    assert answer.json["usage"]["prompt_tokens"] == 25
    assert assert_settled(customer, START) == line["cost_nanos"] == 25_000


# Sixty bytes may be that many tokens, and sixteen stand around an input; thirty and sixteen are held for.
@pytest.mark.parametrize(("told", "source", "charged"), [(76, "provider", 76), (77, "counted", 15)])
async def test_a_report_is_believed_up_to_a_token_a_byte_and_charged_beyond_the_hold(
    *, gateway: RunningGateway, tenant: Tenants, make_model: Models, told: int, source: str, charged: int
) -> None:
    customer, model = tenant(), make_model.embedding_model(f"prompt_tokens={told}", providers=("portkey",))
    answer = await embed(gateway, customer, model, "x" * 60)
    line = usage_line(customer, answer.generation_id)
    assert (line["usage_source"], line["input_tokens"], line["shortfall_nanos"]) == (source, charged, 0)
    assert assert_settled(customer, START) == line["cost_nanos"] == charged * 1_000


async def test_a_provider_that_tells_the_total_alone_is_believed(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    customer, model = tenant(), make_model.embedding_model(providers=("portkey",))
    raw_provider.answers(
        model.upstream_model, _json({"data": [{"embedding": [0.5, -1]}], "usage": {"total_tokens": 3}})
    )
    answer = await embed(odd_gateway, customer, model)
    assert vectors(answer) == [[0.5, -1]]
    assert usage_line(customer, answer.generation_id)["input_tokens"] == 3


async def test_numbers_keep_the_digits_that_the_provider_wrote(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    model = make_model.embedding_model(providers=("portkey",))
    digits = b"[0.10000000000000000555,-1.0E-7,3]"
    raw_provider.answers(model.upstream_model, _body(b'{"data":[{"index":0,"embedding":%b}]}' % digits))
    answer = await embed(odd_gateway, tenant(), model)
    assert b'"embedding":' + digits in answer.raw


@pytest.mark.parametrize(
    "fault",
    ["vectors=too_few", "vectors=same_index", "vectors=ragged", "vectors=empty", "vectors=nan", "vectors=infinite",
     "garbage=1", "error_event=1", "status=500", "status=429", "cut=before_headers", "cut=mid_stream"],
)  # fmt: skip
async def test_an_answer_that_cannot_be_used_is_free_and_the_next_provider_is_asked(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, fault: str
) -> None:
    customer = tenant()
    failing, healthy = make_model.embedding_model(fault), make_model.embedding_model("prompt_tokens=3")
    answer = await embed(gateway, customer, failing, THREE, models=[healthy.id], dimensions=3)
    assert vectors(answer) == [vector_of(text, 3) for text in THREE]
    line = usage_line(customer, answer.generation_id)
    assert [attempt["is_success"] for attempt in line["attempts"]] == [False, True]
    assert (line["model_id"], answer.json["model"]) == (healthy.id, healthy.id)
    assert assert_settled(customer, START) == 3_000


async def test_a_number_too_large_for_32_bits_is_no_embedding(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    customer, model = tenant(), make_model.embedding_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, _json({"data": [{"embedding": [1e39]}], "usage": {"prompt_tokens": 3}}))
    answer = await embed(odd_gateway, customer, model)
    assert (answer.status, answer.error["code"]) == (502, "provider_unavailable"), answer.raw
    assert only_usage_line(customer)["waived_reason"] == "no_answer"
    assert assert_settled(customer, START) == 0


async def test_a_request_at_fault_is_refused_and_free(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.embedding_model("status=400")
    answer = await embed(gateway, customer, model)
    assert answer.status == 400
    assert assert_settled(customer, START) == 0


async def test_an_answer_is_kept_for_a_client_that_asks_again(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.embedding_model("prompt_tokens=9")
    key = {"Idempotency-Key": "batch-4711"}
    first = await embed(gateway, customer, model, THREE, key)
    again = await embed(gateway, customer, model, THREE, key)
    assert_replayed(first, again)
    other = await embed(gateway, customer, model, THREE[:2], key)
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == 9_000


async def test_a_client_that_leaves_pays_for_what_the_provider_took(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.embedding_model("prompt_tokens=9,first_byte_ms=600")
    body = {"model": model.id, "input": "Say something."}
    async with aiohttp.ClientSession(headers=customer.headers) as session:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await session.post(gateway.url + PATH, json=body)
    line = await asyncio.to_thread(wait_until_settled, customer)
    assert (line["outcome"], line["usage_source"], line["cost_nanos"]) == ("completed", "provider", 9_000)
    assert assert_settled(customer, START) == 9_000
    assert len(simulator.requests(model.upstream_model)) == 1


async def test_a_request_whose_time_is_over_is_free_and_the_house_books_what_it_may_cost(
    short_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model.embedding_model("first_byte_ms=20000")
    answer = await embed(short_gateway, customer, model, "x" * 400)
    assert (answer.status, answer.error["code"]) == (504, "time_limit_reached")
    line = only_usage_line(customer)
    assert (line["waived_reason"], line["usage_source"], line["input_tokens"]) == ("time_limit", "counted", 100)
    assert assert_settled(customer, START) == 0


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
    gateway: RunningGateway, customer: Tenant, fields: dict[str, Any], param: str
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
    assert simulator.requests(model.upstream_model) == []


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


@pytest.fixture(scope="module")
def customer(stack: Any) -> Tenant:
    """One account for requests that leave nothing behind."""
    return Tenants(stack.database_url, stack.credentials.gateway_secret)()


def _json(body: object) -> bytes:
    return _body(json.dumps(body).encode())


def _body(body: bytes) -> bytes:
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + body
