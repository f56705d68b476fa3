"""The official `openai` npm package against the gateway, unchanged."""

import json

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.contract.clients import RunNode
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR


@pytest.mark.parametrize("scenario", ["whole", "streamed"])
def test_an_answer_arrives_and_is_paid_for_exactly(
    run_node: RunNode, tenant: Tenants, make_model: Models, scenario: str
) -> None:
    customer = tenant()
    answer = run_node(scenario, customer, make_model("tokens=30,comments=1,split=9"))["answer"]
    assert "".join(character for character in answer["content"] if character.isascii()) == words(30)
    assert answer["usage"]["completion_tokens"] == 30
    assert round(answer["usage"]["cost"] * NANOS_PER_DOLLAR) == assert_settled(customer, START) > 0


@pytest.mark.parametrize("scenario", ["tools", "streamedTools"])
def test_tool_calls_arrive_whole_and_are_paid_for_exactly(
    run_node: RunNode, tenant: Tenants, make_model: Models, simulator: Simulator, scenario: str
) -> None:
    customer, model = tenant(), make_model("tool_calls=1")
    (function,) = run_node(scenario, customer, model)["answer"]
    assert function["name"] == "get_weather"
    assert json.loads(function["arguments"]).keys() == {"city"}
    assert assert_settled(customer, START) == simulator.bill_nanos(model.upstream_model) > 0


def test_a_stream_that_is_cut_is_an_error(run_node: RunNode, tenant: Tenants, make_model: Models) -> None:
    printed = run_node("streamed", tenant(), make_model("tokens=9,at=3,cut=mid_stream"))
    assert (printed["error"], printed["code"]) == ("APIError", "stream_interrupted")


@pytest.mark.parametrize(
    ("script", "credit_nanos", "error", "attempts"),
    [
        ("status=500", START, "InternalServerError", 3),
        ("status=400", START, "BadRequestError", 1),
        ("status=401", START, "InternalServerError", 1),
        ("tokens=3", 0, "APIError", 0),
    ],
)
def test_errors_are_the_package_s_own_and_are_retried_only_where_it_helps(
    run_node: RunNode,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    *,
    script: str,
    credit_nanos: int,
    error: str,
    attempts: int,
) -> None:
    model = make_model(script)
    printed = run_node("whole", tenant(credit_nanos=credit_nanos), model)
    assert printed["error"] == error
    assert printed["requestID"].startswith("req_")
    assert len(simulator.requests(model.upstream_model)) == attempts


def test_the_models_are_listed_and_found(run_node: RunNode, tenant: Tenants, make_model: Models) -> None:
    customer, model = tenant(), make_model()
    assert model.id in run_node("models", customer, model)["answer"]
    assert run_node("model", customer, model)["answer"] == model.id
