"""The official `openai` package for Python against the gateway, unchanged: odd framing, failures, extra fields."""

from collections.abc import Callable
from typing import Any

import openai
import pytest
from openai.types.chat import ChatCompletionToolParam, ChatCompletionUserMessageParam

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.clients import MakeClient
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenants

START = 10 * NANOS_PER_DOLLAR
HELLO: list[ChatCompletionUserMessageParam] = [{"role": "user", "content": "Say something."}]
WEATHER: ChatCompletionToolParam = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.mark.parametrize("script", ["tokens=40", "tokens=40,comments=2,crlf=1", "tokens=40,multiline=1,split=3"])
def test_a_stream_arrives_whole_however_the_provider_frames_it(
    client_of: MakeClient, tenant: Tenants, make_model: Models, simulator: Simulator, script: str
) -> None:
    customer, model = tenant(), make_model(script)
    stream = client_of(customer).chat.completions.create(
        model=model.id, messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert "".join(character for character in said if character.isascii()) == words(40)
    usage = chunks[-1].usage
    assert usage is not None
    assert usage.completion_tokens == 40
    assert usage.model_extra is not None
    cost_nanos = round(usage.model_extra["cost"] * NANOS_PER_DOLLAR)
    assert assert_settled(customer, START) == cost_nanos == simulator.bill_nanos(model.upstream_model)


def test_extra_fields_reach_the_gateway(client_of: MakeClient, tenant: Tenants, make_model: Models) -> None:
    raw = client_of(tenant()).chat.completions.with_raw_response.create(
        model=make_model(providers=("openrouter", "portkey")).id,
        messages=HELLO,
        extra_body={"provider": {"order": ["portkey"]}},
    )
    assert raw.headers["X-Provider"] == "portkey"


@pytest.mark.parametrize(
    ("script", "error", "attempts"),
    [
        ("status=429,retry_after=1", openai.RateLimitError, 2),
        ("status=500", openai.InternalServerError, 2),
        ("status=503,retry_after=1", openai.InternalServerError, 2),
        ("status=401", openai.InternalServerError, 1),
        ("status=400", openai.BadRequestError, 1),
    ],
)
@pytest.mark.cell("openai-python", "retries")
def test_a_provider_s_failure_is_retried_only_where_it_helps(
    client_of: MakeClient,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    *,
    script: str,
    error: type[openai.APIStatusError],
    attempts: int,
) -> None:
    model = make_model(script)
    with pytest.raises(error) as caught:
        client_of(tenant(), max_retries=1).chat.completions.create(model=model.id, messages=HELLO)
    assert len(simulator.requests(model.upstream_model)) == attempts
    assert caught.value.request_id is not None
    assert caught.value.body is not None


@pytest.mark.cell("openai-python", "errors")
def test_refusals_are_the_package_s_own_errors(client_of: MakeClient, tenant: Tenants, make_model: Models) -> None:
    model = make_model()
    limited = client_of(tenant(limits=PlanLimits(requests_per_day=1)))
    limited.chat.completions.create(model=model.id, messages=HELLO)
    refused: list[tuple[Callable[[], object], type[openai.APIStatusError], str]] = [
        (lambda: _create(client_of("gw_live_wrong"), model.id), openai.AuthenticationError, "invalid_api_key"),
        (lambda: _create(client_of(tenant()), "nobody/nothing"), openai.NotFoundError, "model_not_found"),
        (lambda: _create(client_of(tenant()), model.id, n=0), openai.BadRequestError, "invalid_request"),
        (lambda: _create(client_of(tenant(credit_nanos=0)), model.id), openai.APIStatusError, "insufficient_credits"),
        (lambda: _create(limited, model.id), openai.RateLimitError, "day_requests_exhausted"),
        (lambda: client_of(tenant()).models.retrieve("nobody/nothing"), openai.NotFoundError, "model_not_found"),
    ]
    for call, error, code in refused:
        with pytest.raises(error) as caught:
            call()
        assert caught.value.code == code
        assert caught.value.request_id is not None


def _create(client: openai.OpenAI, model: str, **fields: Any) -> object:
    return client.chat.completions.create(model=model, messages=HELLO, **fields)
