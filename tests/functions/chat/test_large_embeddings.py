"""Batches of many megabytes: those that are read are charged, those that are not are the house's."""

import base64
import json
import struct
from collections.abc import Callable

import pytest

from tests.functions.chat.books import assert_settled, only_usage_line
from tests.functions.chat.embedding_requests import START, THREE, embed, whole_answer
from tests.functions.chat.raw_provider import RawProvider
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

TEXT = "some words here"
TOKENS = 5_000
# As long as a number of a model that computes in 64 bits is printed.
NUMBER = "-0.012345678901234567"


@pytest.fixture
def customer(tenant: Tenants) -> Tenant:
    return tenant()


@pytest.fixture
def model(make_model: Models) -> TestModel:
    return make_model.embedding_model(providers=("portkey",))


def batch(count: int, embedding: str) -> bytes:
    items = ",".join(f'{{"index":{index},"embedding":{embedding}}}' for index in range(count))
    return whole_answer(f'{{"data":[{items}],"usage":{{"prompt_tokens":{TOKENS}}}}}'.encode())


def list_of(dimensions: int) -> str:
    return f"[{','.join([NUMBER] * dimensions)}]"


def base64_of(dimensions: int) -> str:
    return json.dumps(base64.b64encode(struct.pack(f"<{dimensions}f", *[float(NUMBER)] * dimensions)).decode())


@pytest.mark.parametrize(
    ("count", "dimensions", "write"),
    [(1_024, 1_536, list_of), (512, 3_072, list_of), (2_048, 3_072, base64_of)],
    ids=["many as lists", "long ones as lists", "the most, in base64"],
)
@pytest.mark.parametrize("encoding", ["float", "base64"])
async def test_what_is_taken_is_delivered(
    *,
    odd_gateway: RunningGateway,
    raw_provider: RawProvider,
    customer: Tenant,
    model: TestModel,
    count: int,
    dimensions: int,
    write: Callable[[int], str],
    encoding: str,
) -> None:
    raw_provider.answers(model.upstream_model, batch(count, write(dimensions)))
    answer = await embed(odd_gateway, customer, model, [TEXT] * count, encoding_format=encoding)
    assert answer.status == 200, answer.raw[:200]
    assert answer.raw.count(b'"embedding":') == count
    assert len(only_usage_line(customer)["attempts"]) == 1
    assert assert_settled(customer, START) == TOKENS * 1_000


async def test_a_batch_too_large_to_read_is_asked_for_once_and_paid_by_the_house(
    *, odd_gateway: RunningGateway, raw_provider: RawProvider, customer: Tenant, make_model: Models
) -> None:
    model = make_model.embedding_model(providers=("portkey", "openrouter"))
    raw_provider.answers(model.upstream_model, batch(2_048, list_of(1_536)))
    answer = await embed(odd_gateway, customer, model, [TEXT] * 2_048, provider={"order": ["portkey"]})
    assert (answer.status, answer.error["code"]) == (502, "answer_too_large"), answer.raw[:200]
    assert (answer.error["retryable"], answer.headers["x-should-retry"]) == (False, "false")
    line = only_usage_line(customer)
    (attempt,) = line["attempts"]
    assert (attempt["provider"], attempt["is_request_at_fault"]) == ("portkey", True)
    assert (line["waived_reason"], line["input_tokens"]) == ("answer_too_large", 2_048 * len(TEXT) // 4)
    assert line["provider_cost_nanos"] == line["input_tokens"] * 1_000
    assert assert_settled(customer, START) == 0


async def test_the_provider_is_asked_for_base64_whatever_the_client_wants(
    *, odd_gateway: RunningGateway, raw_provider: RawProvider, customer: Tenant, model: TestModel
) -> None:
    raw_provider.answers(model.upstream_model, batch(3, base64_of(2)))
    answer = await embed(odd_gateway, customer, model, THREE, encoding_format="float")
    assert all(isinstance(item["embedding"], list) for item in answer.json["data"])
    (sent,) = raw_provider.requests(model.upstream_model)
    assert b'"encoding_format":"base64"' in sent
