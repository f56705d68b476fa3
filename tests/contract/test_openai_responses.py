"""The official `openai` package's Responses against the gateway, unchanged."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types.responses import FunctionToolParam
from pydantic import BaseModel

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.clients import MakeClient
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.tenants import Models, PlanLimits, Tenants

START = 10 * NANOS_PER_DOLLAR
WEATHER: FunctionToolParam = {
    "type": "function",
    "name": "get_weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class City(BaseModel):
    """What a model is asked to fill in."""

    name: str
    people: int


@pytest.mark.cell("openai-python", "responses")
def test_a_response_arrives_is_stored_and_can_be_deleted(
    client_of: MakeClient, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=5")
    client = client_of(customer)
    answer = client.responses.create(model=model.id, input="Say something.")
    assert answer.output_text == words(5)
    assert answer.usage is not None and answer.usage.output_tokens == 5
    assert answer.usage.model_extra is not None
    assert round(answer.usage.model_extra["cost"] * NANOS_PER_DOLLAR) == assert_settled(customer, START) > 0
    assert client.responses.retrieve(answer.id).output_text == words(5)
    following = client.responses.create(model=model.id, input="And then?", previous_response_id=answer.id)
    assert following.previous_response_id == answer.id
    client.responses.delete(answer.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(answer.id)


@pytest.mark.cell("openai-python", "errors")
def test_a_stream_that_is_cut_is_an_error(client_of: MakeClient, tenant: Tenants, make_model: Models) -> None:
    model = make_model("tokens=9,at=3,cut=mid_stream")
    stream = client_of(tenant()).responses.create(model=model.id, input="Say something.", stream=True)
    with pytest.raises(openai.APIError) as caught:
        list(stream)
    assert caught.value.code == "stream_interrupted"


@pytest.mark.parametrize(
    ("fields", "error", "code", "param"),
    [
        ({"model": "nobody/nothing"}, openai.NotFoundError, "model_not_found", "model"),
        ({"input": 7}, openai.BadRequestError, "invalid_request", "input"),
        ({"tools": [{"type": "web_search"}]}, openai.BadRequestError, "unsupported_parameter", "tools[0].type"),
        ({"background": True}, openai.BadRequestError, "unsupported_parameter", "background"),
        (
            {"previous_response_id": "resp_" + "0" * 32},
            openai.BadRequestError,
            "previous_response_not_found",
            "previous_response_id",
        ),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
@pytest.mark.cell("openai-python", "errors")
def test_bad_input_is_the_client_s_own_exception(
    client_of: MakeClient,
    tenant: Tenants,
    make_model: Models,
    *,
    fields: dict[str, Any],
    error: type[openai.APIStatusError],
    code: str,
    param: str,
    is_stream: bool,
) -> None:
    client = client_of(tenant())
    with pytest.raises(error) as caught:
        client.responses.create(**{"model": make_model().id, "input": "Hello", "stream": is_stream, **fields})
    assert (caught.value.code, caught.value.param) == (code, param)
    assert caught.value.request_id is not None


REFUSED: list[tuple[str, dict[str, Any], Callable[[Tenants], Any], type[openai.APIStatusError]]] = [
    ("", {}, lambda tenant: "gw_live_nonsense", openai.AuthenticationError),
    ("", {}, lambda tenant: tenant(credit_nanos=0), openai.APIStatusError),
    ("status=500", {}, lambda tenant: tenant(), openai.InternalServerError),
    ("status=429", {}, lambda tenant: tenant(), openai.RateLimitError),
]


@pytest.mark.parametrize(("script", "fields", "caller", "error"), REFUSED)
@pytest.mark.cell("openai-python", "errors")
def test_refusals_are_the_client_s_own_exceptions(
    client_of: MakeClient,
    tenant: Tenants,
    make_model: Models,
    *,
    script: str,
    fields: dict[str, Any],
    caller: Callable[[Tenants], Any],
    error: type[openai.APIStatusError],
) -> None:
    client = client_of(caller(tenant), max_retries=0)
    with pytest.raises(error) as caught:
        client.responses.create(model=make_model(script).id, input="Hello", **fields)
    assert caught.value.code


@pytest.mark.cell("openai-python", "errors")
def test_a_limit_is_a_rate_limit_error(client_of: MakeClient, tenant: Tenants, make_model: Models) -> None:
    client = client_of(tenant(limits=PlanLimits(requests_per_minute=1)), max_retries=0)
    model = make_model()
    client.responses.create(model=model.id, input="Hello")
    with pytest.raises(openai.RateLimitError):
        client.responses.create(model=model.id, input="Hello")
