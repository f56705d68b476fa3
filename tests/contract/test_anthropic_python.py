"""Anthropic's official package for Python against the gateway, unchanged; skipped where it is not installed."""

from collections.abc import Iterator
from typing import Any

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants

anthropic: Any = pytest.importorskip("anthropic")

START = 10 * NANOS_PER_DOLLAR
HELLO = [{"role": "user", "content": "Say something."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
WEATHER = {"name": "get_weather", "input_schema": SCHEMA}


class Clients:
    """Makes clients as a customer does: an address and a key."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._made: list[Any] = []

    def __call__(self, tenant: Tenant | str, **options: Any) -> Any:
        api_key = tenant if isinstance(tenant, str) else tenant.api_key
        self._made.append(anthropic.Anthropic(base_url=self._url, api_key=api_key, **options))
        return self._made[-1]

    def close(self) -> None:
        for client in self._made:
            client.close()


@pytest.fixture
def anthropic_of(gateway: RunningGateway) -> Iterator[Clients]:
    clients = Clients(gateway.url)
    yield clients
    clients.close()


def test_a_message_arrives_with_what_it_cost(anthropic_of: Clients, tenant: Tenants, make_model: Models) -> None:
    customer = tenant()
    message = anthropic_of(customer).messages.create(model=make_model("tokens=5").id, max_tokens=50, messages=HELLO)
    assert [block.text for block in message.content] == [words(5)]
    assert (message.stop_reason, message.usage.output_tokens) == ("end_turn", 5)
    assert round(message.usage.model_extra["cost"] * NANOS_PER_DOLLAR) == assert_settled(customer, START) > 0
    assert message._request_id.startswith("req_")


def test_a_stream_arrives_whole_with_its_usage(anthropic_of: Clients, tenant: Tenants, make_model: Models) -> None:
    customer = tenant()
    model = make_model("tokens=40,prompt_tokens=10")
    with anthropic_of(customer).messages.stream(model=model.id, max_tokens=50, messages=HELLO) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == words(40)
    assert (final.usage.input_tokens, final.usage.output_tokens) == (10, 40)
    assert assert_settled(customer, START) == 10 * 1_000 + 40 * 2_000


def test_parallel_tools_and_their_results_go_round(anthropic_of: Clients, tenant: Tenants, make_model: Models) -> None:
    client, model = anthropic_of(tenant()), make_model("tool_calls=2")
    asked = client.messages.create(model=model.id, max_tokens=200, messages=HELLO, tools=[WEATHER])
    with client.messages.stream(model=model.id, max_tokens=200, messages=HELLO, tools=[WEATHER]) as stream:
        streamed = stream.get_final_message()
    for message in (asked, streamed):
        assert message.stop_reason == "tool_use"
        assert [block.name for block in message.content] == ["get_weather"] * 2
        assert all("city" in block.input for block in message.content)
    results = [{"type": "tool_result", "tool_use_id": block.id, "content": "sunny"} for block in asked.content]
    turns = [*HELLO, {"role": "assistant", "content": asked.content}, {"role": "user", "content": results}]
    told = client.messages.create(model=make_model("tokens=3").id, max_tokens=50, messages=turns, tools=[WEATHER])
    assert told.content[0].text == words(3)


def test_tokens_are_counted(anthropic_of: Clients, tenant: Tenants, make_model: Models) -> None:
    counted = anthropic_of(tenant()).messages.count_tokens(model=make_model().id, messages=HELLO)
    assert counted.input_tokens > 0
    assert counted.model_extra["is_estimate"] is True


def test_a_stream_that_is_cut_is_an_error(anthropic_of: Clients, tenant: Tenants, make_model: Models) -> None:
    model = make_model("tokens=9,at=3,cut=mid_stream")
    stream = anthropic_of(tenant()).messages.create(model=model.id, max_tokens=50, messages=HELLO, stream=True)
    with pytest.raises(anthropic.APIStatusError) as caught:
        list(stream)
    assert caught.value.body["error"]["details"]["error_code"] == "stream_interrupted"


def test_a_request_that_failed_is_tried_again_by_the_client(
    anthropic_of: Clients, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=5,prompt_tokens=10,status=503,fail_times=1")
    message = anthropic_of(customer).messages.create(model=model.id, max_tokens=50, messages=HELLO)
    assert message.content[0].text == words(5)
    assert len(simulator.requests(model.upstream_model)) == 2
    assert assert_settled(customer, START) == 10 * 1_000 + 5 * 2_000


@pytest.mark.parametrize(
    ("fields", "error", "type_"),
    [
        ({"model": "nobody/nothing"}, "NotFoundError", "not_found_error"),
        ({"messages": []}, "BadRequestError", "invalid_request_error"),
        ({"max_tokens": 0}, "BadRequestError", "invalid_request_error"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            "BadRequestError",
            "invalid_request_error",
        ),
        ({"extra_headers": {"anthropic-version": "2023-01-01"}}, "BadRequestError", "invalid_request_error"),
    ],
)
@pytest.mark.parametrize("is_stream", [False, True])
def test_bad_input_is_the_client_s_own_exception(
    anthropic_of: Clients,
    tenant: Tenants,
    make_model: Models,
    *,
    fields: dict[str, Any],
    error: str,
    type_: str,
    is_stream: bool,
) -> None:
    asked = {"model": make_model().id, "max_tokens": 50, "messages": HELLO, "stream": is_stream, **fields}
    with pytest.raises(getattr(anthropic, error)) as caught:
        anthropic_of(tenant()).messages.create(**asked)
    assert caught.value.body["error"]["type"] == type_
    assert caught.value.request_id.startswith("req_")


@pytest.mark.parametrize(
    ("script", "options", "error", "type_"),
    [
        ("", {"credit_nanos": 0}, "APIStatusError", "billing_error"),
        ("status=500", {}, "InternalServerError", "api_error"),
        ("status=503", {}, "InternalServerError", "overloaded_error"),
        ("status=429", {}, "RateLimitError", "rate_limit_error"),
    ],
)
def test_refusals_are_the_client_s_own_exceptions(
    anthropic_of: Clients,
    tenant: Tenants,
    make_model: Models,
    *,
    script: str,
    options: dict[str, Any],
    error: str,
    type_: str,
) -> None:
    client = anthropic_of(tenant(**options), max_retries=0)
    with pytest.raises(getattr(anthropic, error)) as caught:
        client.messages.create(model=make_model(script).id, max_tokens=50, messages=HELLO)
    assert caught.value.body["error"]["type"] == type_


def test_a_mistyped_key_and_a_limit_are_the_client_s_own_exceptions(
    anthropic_of: Clients, tenant: Tenants, make_model: Models
) -> None:
    model = make_model()
    with pytest.raises(anthropic.AuthenticationError):
        anthropic_of("gw_live_nonsense").messages.create(model=model.id, max_tokens=50, messages=HELLO)
    client = anthropic_of(tenant(limits=PlanLimits(requests_per_minute=1)), max_retries=0)
    client.messages.create(model=model.id, max_tokens=50, messages=HELLO)
    with pytest.raises(anthropic.RateLimitError):
        client.messages.create(model=model.id, max_tokens=50, messages=HELLO)
