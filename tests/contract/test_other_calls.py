"""Official clients against the gateway, unchanged: stored responses, embeddings, images, and what else they ask."""

import base64
from decimal import Decimal

import pytest

from infra.local.simulator.embeddings import DEFAULT_DIMENSIONS, vector_of
from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.matrix import with_clients
from tests.contract.programs import RunClient
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants, TestVariant

START = 10 * NANOS_PER_DOLLAR
PNG = b"\x89PNG\r\n\x1a\n"
# Those that tell every event's number, and read and delete what is stored.
OPENAI = ("openai-python", "openai-python-older", "openai-node")
WEATHER_CALL = {"name": "get_weather", "arguments": {"city": "text"}}


@with_clients("responses")
def test_a_stored_response_is_continued_with_the_results_of_its_tools(
    run_client: RunClient, tenant: Tenants, make_model: Models, simulator: Simulator, client: str
) -> None:
    customer, calls, talks = tenant(), make_model("tool_calls=2"), make_model("tokens=3")
    answer = run_client(client, "responses", customer, calls, then=talks.id)["answer"]
    assert (answer["calls"], answer["text"]) == ([WEATHER_CALL] * 2, words(3))
    assert answer["usage"]["output"] == 3
    bills = simulator.bill_nanos(calls.upstream_model) + simulator.bill_nanos(talks.upstream_model)
    assert assert_settled(customer, START) == bills > 0


@with_clients("responses", *OPENAI)
def test_a_stored_response_is_read_and_deleted(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    talks = make_model("tokens=3")
    answer = run_client(client, "responses", tenant(), make_model("tool_calls=1"), then=talks.id)["answer"]
    assert answer["numbers"] == list(range(len(answer["numbers"])))
    assert answer["readText"] == answer["text"] == words(3)
    assert (answer["left"]["name"], answer["left"]["code"]) == ("NotFoundError", "response_not_found")


@with_clients("responses", *OPENAI, "langchain")
def test_a_response_is_parsed(run_client: RunClient, tenant: Tenants, make_model: Models, client: str) -> None:
    parsed = run_client(client, "structuredResponse", tenant(), make_model())["answer"]
    assert parsed == {"name": "text", "people": 1}


# Whichever of the two encodings the provider answers in, and in whichever order.
@pytest.mark.parametrize("vectors", ["as_asked", "other", "reversed"])
@with_clients("embeddings")
def test_each_text_becomes_its_vector_and_is_paid_for(
    run_client: RunClient, tenant: Tenants, make_model: Models, *, client: str, vectors: str
) -> None:
    customer, model = tenant(), make_model.embedding_model(f"prompt_tokens=30,vectors={vectors}")
    inputs = ["a sunny day", "a rainy afternoon", "a snowy night"]
    answer = run_client(client, "embeddings", customer, model, inputs=inputs)["answer"]
    assert answer["vectors"] == [vector_of(text, DEFAULT_DIMENSIONS) for text in inputs]
    assert client == "langchain" or answer["usage"]["input"] == 30
    assert assert_settled(customer, START) == 30 * 1_000


@with_clients("images")
def test_images_are_made_and_each_is_paid_for(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    variant = TestVariant("1024x1024", "standard", Decimal("0.04"))
    customer, model = tenant(), make_model.image_model("image_bytes=300", variants=(variant,))
    images = run_client(client, "images", customer, model, n=2)["answer"]["images"]
    assert [len(base64.b64decode(image, validate=True)) for image in images] == [300, 300]
    assert assert_settled(customer, START) == 2 * NANOS_PER_DOLLAR * 4 // 100


@with_clients("images")
def test_a_test_key_gets_an_image_that_can_be_shown(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    customer = tenant(environment="test")
    (image,) = run_client(client, "images", customer, make_model.image_model(), n=1)["answer"]["images"]
    assert base64.b64decode(image, validate=True).startswith(PNG)
    assert assert_settled(customer, START) == 0


@pytest.mark.parametrize("client", OPENAI)
def test_the_models_are_listed_and_found(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    model = make_model()
    answer = run_client(client, "models", tenant(), model)["answer"]
    assert model.id in answer["ids"]
    assert answer["found"] == model.id


@pytest.mark.parametrize("client", ["anthropic-python", "anthropic-node"])
def test_tokens_are_counted(run_client: RunClient, tenant: Tenants, make_model: Models, client: str) -> None:
    counted = run_client(client, "countTokens", tenant(), make_model())["answer"]
    assert counted["input_tokens"] > 0
    assert counted["is_estimate"] is True
