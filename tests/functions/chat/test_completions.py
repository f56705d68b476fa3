import json
import time
from decimal import Decimal
from typing import Any

import pytest

from shared.core.money import NANOS_PER_DOLLAR, nanos_from_dollars
from tests.functions.chat.books import assert_settled, usage_line
from tests.functions.chat.client import ask, words
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
# What the simulator bills for a model that is not in its list; make_model's own defaults are the other two prices.
CACHED_RATE = {"cached_input_tokens": NANOS_PER_DOLLAR // 10}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}
CLOCK = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object", "properties": {}}}}
PIXEL = "data:image/png;base64,iVBORw0KGgo="


@pytest.mark.parametrize("script", ["tokens=3", "tokens=700", "tokens=20,prompt_tokens=90,cached_tokens=64"])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_balance_falls_by_what_the_provider_billed_and_the_answer_says_so(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, *, script: str, is_stream: bool
) -> None:
    customer, model = tenant(), make_model(script, other_rates=CACHED_RATE)
    answer = await ask(gateway, customer, model, stream=is_stream, stream_options={"include_usage": True})
    assert answer.status == 200, answer.raw
    (served,) = simulator.requests(model.upstream_model)
    usage = answer.chunks[-1]["usage"] if is_stream else answer.json["usage"]
    cost = _cost_in(answer.raw)
    assert nanos_from_dollars(cost) == nanos_from_dollars(Decimal(served["cost"]))
    assert Decimal(repr(usage["cost"])) == cost
    assert (usage["prompt_tokens"], usage["completion_tokens"]) == (
        served["prompt_tokens"],
        served["completion_tokens"],
    )
    line = usage_line(customer, answer.generation_id)
    assert line["cost_nanos"] == assert_settled(customer, START) == nanos_from_dollars(cost)
    assert (line["usage_source"], line["outcome"], line["shortfall_nanos"]) == ("provider", "completed", 0)
    assert line["cached_input_tokens"] == served["cached_tokens"]


async def test_the_answer_is_the_provider_s_but_for_what_it_charged_us(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    model = make_model("tokens=5,cost=0.5")
    answer = await ask(gateway, tenant(), model)
    body = answer.json
    assert body["choices"][0]["message"]["content"] == words(5)
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["choices"][0]["native_finish_reason"] == "stop"
    assert body["usage"]["cost"] < 0.001
    assert answer.headers["X-Provider"] == "openrouter"
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.headers["X-Request-Id"].startswith("req_")
    assert answer.headers["X-Generation-Id"].startswith("gen_")


async def test_a_provider_that_charges_us_more_than_its_price_is_paid_by_the_house(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    answer = await ask(gateway, customer, make_model("tokens=5,prompt_tokens=10,cost=0.5"))
    line = usage_line(customer, answer.generation_id)
    assert line["charged_nanos"] == line["cost_nanos"] == assert_settled(customer, START) == 20_000
    assert line["cost_excess_nanos"] == 500_000_000 - 20_000


async def test_fields_that_we_do_not_know_reach_the_provider_and_ours_do_not(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model()
    answer = await ask(
        gateway,
        tenant(),
        model,
        models=[model.id],
        provider={"order": ["openrouter"]},
        seed=7,
        temperature=0.5,
        logit_bias={"50256": -100},
        made_up={"deep": [1, 2.5, None]},
        metadata={"a": "b"},
        user="someone",
        service_tier="auto",
        store=True,
    )
    assert answer.status == 200, answer.raw
    (served,) = simulator.requests(model.upstream_model)
    sent = set(served["body_fields"])
    assert sent == {
        "model", "messages", "seed", "temperature", "logit_bias", "made_up", "metadata", "user", "stream", "max_tokens",
    }  # fmt: skip


async def test_a_whole_answer_is_bounded_upstream_by_what_its_hold_pays_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model("tokens=5000")
    answer = await ask(gateway, tenant(), model)
    assert answer.json["choices"][0]["finish_reason"] == "length"
    assert [served["max_tokens"] for served in simulator.requests(model.upstream_model)] == [4096]


async def test_a_stream_is_not_bounded_unless_the_client_bounds_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model("tokens=2")
    await ask(gateway, tenant(), model, stream=True)
    await ask(gateway, tenant(), model, stream=True, max_tokens=50)
    assert [served["max_tokens"] for served in simulator.requests(model.upstream_model)] == [None, 50]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize("is_stream", [False, True])
async def test_max_tokens_ends_the_answer_with_length(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, field: str, is_stream: bool
) -> None:
    customer = tenant()
    answer = await ask(gateway, customer, make_model("tokens=9"), stream=is_stream, **{field: 4})
    choice = answer.chunks[-1]["choices"][0] if is_stream else answer.json["choices"][0]
    assert choice["finish_reason"] == "length"
    assert usage_line(customer, answer.generation_id)["output_tokens"] == 4


async def test_max_tokens_above_the_model_s_own_limit_is_cut_to_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    model = make_model("tokens=3", max_output_tokens=100)
    assert (await ask(gateway, tenant(), model, max_tokens=9_000_000)).status == 200
    assert simulator.requests(model.upstream_model)[0]["max_tokens"] == 100


@pytest.mark.parametrize("calls", [1, 3])
async def test_tool_calls_arrive_whole(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, calls: int
) -> None:
    customer = tenant()
    tools = [WEATHER, CLOCK]
    answer = await ask(gateway, customer, make_model(f"tool_calls={calls}"), tools=tools, tool_choice="auto")
    choice = answer.json["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    names = [call["function"]["name"] for call in choice["message"]["tool_calls"]]
    assert names == ["get_weather", "get_time", "get_weather"][:calls]
    assert json.loads(choice["message"]["tool_calls"][0]["function"]["arguments"]).keys() == {"city"}
    assert assert_settled(customer, START) > 0


async def test_tool_calls_arrive_in_pieces_when_streamed(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    answer = await ask(gateway, tenant(), make_model("tool_calls=2"), stream=True, tools=[WEATHER, CLOCK])
    calls: dict[int, dict[str, str]] = {}
    pieces = 0
    for chunk in answer.chunks:
        for delta in chunk["choices"][0]["delta"].get("tool_calls", ()):
            call = calls.setdefault(delta["index"], {"name": "", "arguments": ""})
            call["name"] += delta["function"].get("name", "")
            call["arguments"] += delta["function"]["arguments"]
            pieces += 1
    assert [call["name"] for call in calls.values()] == ["get_weather", "get_time"]
    assert json.loads(calls[0]["arguments"]).keys() == {"city"}
    assert pieces > 2
    assert answer.chunks[-1]["choices"][0]["finish_reason"] == "tool_calls"


async def test_images_are_passed_on_and_paid_for(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("prompt_tokens=900", image_input_tokens=800)
    content = [
        {"type": "text", "text": "What is this?"},
        {"type": "image_url", "image_url": {"url": PIXEL, "detail": "low"}},
        {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}},
    ]
    answer = await ask(gateway, customer, model, messages=[{"role": "user", "content": content}])
    assert answer.status == 200, answer.raw
    assert simulator.requests(model.upstream_model)[0]["image_parts"] == 2
    assert usage_line(customer, answer.generation_id)["input_tokens"] == 900


async def test_structured_output_is_passed_on(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    schema = {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}}
    response_format = {"type": "json_schema", "json_schema": {"name": "person", "schema": schema, "strict": True}}
    answer = await ask(gateway, tenant(), make_model(), response_format=response_format)
    assert json.loads(answer.json["choices"][0]["message"]["content"]).keys() == {"name", "age"}


@pytest.mark.parametrize("is_stream", [False, True])
async def test_every_choice_arrives_and_is_charged(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, is_stream: bool
) -> None:
    customer = tenant()
    answer = await ask(gateway, customer, make_model("tokens=4"), n=3, stream=is_stream)
    choices = [each for chunk in answer.chunks for each in chunk["choices"]] if is_stream else answer.json["choices"]
    assert {choice["index"] for choice in choices} == {0, 1, 2}
    assert usage_line(customer, answer.generation_id)["output_tokens"] == 12
    assert assert_settled(customer, START) > 0


async def test_logprobs_are_passed_on(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    answer = await ask(gateway, tenant(), make_model("tokens=2"), logprobs=True, top_logprobs=2)
    entries = answer.json["choices"][0]["logprobs"]["content"]
    assert [entry["token"] for entry in entries] == ["tok0", " tok1"]
    assert len(entries[0]["top_logprobs"]) == 2


async def test_hidden_reasoning_is_charged_as_output(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    answer = await ask(gateway, customer, make_model("tokens=2,reasoning_tokens=30"))
    line = usage_line(customer, answer.generation_id)
    assert (line["output_tokens"], line["reasoning_tokens"]) == (32, 30)


async def test_a_hundred_cheap_requests_cost_exactly_a_hundred_times_one(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant()
    model = make_model("tokens=1,prompt_tokens=1,cost=0", input_usd_per_mtok=3899, output_usd_per_mtok=1)
    answers = [await ask(gateway, customer, model, max_tokens=1) for _ in range(100)]
    assert {answer.json["usage"]["cost"] for answer in answers} == {0.0039}
    assert assert_settled(customer, START) == 390_000_000


@pytest.mark.parametrize("is_stream", [False, True])
async def test_a_free_model_works_without_a_balance(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, is_stream: bool
) -> None:
    customer = tenant(credit_nanos=0)
    model = make_model("tokens=3", input_usd_per_mtok=0, output_usd_per_mtok=0)
    answer = await ask(gateway, customer, model, stream=is_stream, stream_options={"include_usage": True})
    assert answer.status == 200, answer.raw
    assert (answer.chunks[-1] if is_stream else answer.json)["usage"]["cost"] == 0
    assert assert_settled(customer, 0) == 0


async def test_a_test_key_is_answered_inside_the_function_and_never_pays(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(environment="test", credit_nanos=0), make_model()
    whole = await ask(gateway, customer, model)
    streamed = await ask(gateway, customer, model, stream=True)
    assert whole.json["choices"][0]["message"]["content"] == streamed.text == "You said: Say something."
    assert whole.headers["X-Provider"] == "simulated"
    assert simulator.requests(model.upstream_model) == []
    assert assert_settled(customer, 0) == 0


def _cost_in(raw: bytes) -> Decimal:
    """Read usage.cost as it is printed, never through a float."""
    costs: list[Any] = []

    def keep(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        costs.extend(value for name, value in pairs if name == "cost")
        return dict(pairs)

    for line in raw.decode().splitlines():
        if line.removeprefix("data: ").startswith("{"):
            json.loads(line.removeprefix("data: "), object_pairs_hook=keep, parse_float=Decimal, parse_int=Decimal)
    (cost,) = costs
    assert isinstance(cost, Decimal)
    return cost


async def test_a_whole_answer_ends_before_the_platform_gives_up_on_a_silent_connection_and_a_stream_goes_on(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    gateway = start_gateway(CONNECTION_SILENCE_LIMIT_S="3")
    customer, model = tenant(), make_model("tokens=3,headers_then_wait_ms=2600")
    started_s = time.monotonic()
    whole = await ask(gateway, customer, model)
    assert time.monotonic() - started_s < 2.5
    assert (whole.status, whole.error["code"], whole.error["retryable"]) == (504, "time_limit_reached", False)
    line = usage_line(customer, whole.generation_id)
    assert (line["charged_nanos"], line["cost_nanos"], line["waived_reason"]) == (0, 0, "time_limit")
    assert [attempt["is_request_at_fault"] for attempt in line["attempts"]] == [True]
    # The provider goes on and bills the house, and the books say so.
    assert line["provider_cost_nanos"] >= simulator.bill_nanos(model.upstream_model) > 0
    stream = await ask(gateway, customer, model, stream=True)
    assert (stream.status, stream.text) == (200, words(3))
    assert customer.books.broken_rules() == []
