"""Every official client against the gateway, unchanged: what an answer holds, whole and streamed."""

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.matrix import with_clients
from tests.contract.programs import RunClient
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
# As the table's footnote says.
DROPS_THE_COST = ("langchain", "stream")
CITY = {"name": "text", "people": 1}
WEATHER_CALL = {"name": "get_weather", "arguments": {"city": "text"}}

SCENARIOS_OF_TOOLS = ("tools", "streamedTools")
SCENARIOS_OF_STRUCTURE = ("structured", "streamedStructured")


@with_clients("text")
def test_a_text_arrives_and_is_paid_for_exactly(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    customer = tenant()
    answer = run_client(client, "text", customer, make_model("tokens=5,prompt_tokens=10"))["answer"]
    assert (answer["text"], answer["calls"]) == (words(5), [])
    assert answer["stop"] in {"stop", "end_turn"}
    assert assert_settled(customer, START) == 10 * 1_000 + 5 * 2_000


@with_clients("stream")
def test_a_stream_arrives_whole_and_is_paid_for_exactly(
    run_client: RunClient, tenant: Tenants, make_model: Models, client: str
) -> None:
    customer = tenant()
    model = make_model("tokens=40,prompt_tokens=10,comments=1,split=9,wide=1")
    answer = run_client(client, "stream", customer, model)["answer"]
    assert "".join(character for character in answer["text"] if character.isascii()) == words(40)
    assert answer["stop"] in {"stop", "end_turn"}
    assert assert_settled(customer, START) == 10 * 1_000 + 40 * 2_000


@pytest.mark.parametrize("scenario", SCENARIOS_OF_TOOLS)
@with_clients("tools")
def test_a_tool_is_called_and_its_result_is_answered(
    *,
    run_client: RunClient,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    client: str,
    scenario: str,
) -> None:
    customer, calls, talks = tenant(), make_model("tool_calls=1"), make_model("tokens=3")
    called, told = run_client(client, scenario, customer, calls, then=talks.id)["answer"]
    assert called["calls"] == [WEATHER_CALL]
    assert called["stop"] in {"tool_calls", "tool_use", "tool-calls"}
    assert (told["text"], told["calls"]) == (words(3), [])
    bills = simulator.bill_nanos(calls.upstream_model) + simulator.bill_nanos(talks.upstream_model)
    assert assert_settled(customer, START) == bills > 0


@pytest.mark.parametrize("scenario", SCENARIOS_OF_TOOLS)
@with_clients("parallel_tools")
def test_tools_are_called_at_once_and_each_result_is_answered(
    run_client: RunClient, tenant: Tenants, make_model: Models, *, client: str, scenario: str
) -> None:
    customer, calls, talks = tenant(), make_model("tool_calls=3"), make_model("tokens=3")
    called, told = run_client(client, scenario, customer, calls, then=talks.id)["answer"]
    assert called["calls"] == [WEATHER_CALL] * 3
    assert told["text"] == words(3)


@pytest.mark.parametrize("scenario", SCENARIOS_OF_STRUCTURE)
@with_clients("structured")
def test_a_schema_reaches_the_provider_and_the_answer_is_parsed(
    *,
    run_client: RunClient,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    client: str,
    scenario: str,
) -> None:
    model = make_model()
    assert run_client(client, scenario, tenant(), model)["answer"] == CITY
    (asked,) = simulator.requests(model.upstream_model)
    assert "response_format" in asked["body_fields"]


@with_clients("vision")
def test_a_picture_reaches_the_provider(
    *, run_client: RunClient, tenant: Tenants, make_model: Models, simulator: Simulator, client: str
) -> None:
    model = make_model("tokens=4", image_input_tokens=100)
    assert run_client(client, "vision", tenant(), model)["answer"]["text"] == words(4)
    (asked,) = simulator.requests(model.upstream_model)
    assert asked["image_parts"] == 1


@pytest.mark.parametrize("scenario", ["text", "stream"])
@with_clients("usage")
def test_usage_tells_each_kind_of_token_and_what_was_charged(
    run_client: RunClient, tenant: Tenants, make_model: Models, *, client: str, scenario: str
) -> None:
    customer = tenant()
    model = make_model(
        "tokens=20,prompt_tokens=100,cached_tokens=40,reasoning_tokens=7", other_rates={"cached_input_tokens": 10**8}
    )
    usage = run_client(client, scenario, customer, model)["answer"]["usage"]
    cost = usage.pop("cost")
    assert usage == {"input": 100, "cached": 40, "output": 27, "reasoning": 7}
    assert assert_settled(customer, START) == 60 * 1_000 + 40 * 100 + 27 * 2_000
    if (client, scenario) != DROPS_THE_COST:
        assert round(cost * NANOS_PER_DOLLAR) == assert_settled(customer, START)
