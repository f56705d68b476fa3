"""Whole chat completions as responses."""

import json
from typing import Any

import pytest

from shared.core.money import Nanos
from shared.providers.responses.answer import to_response
from tests.shared.providers.responses.grammar import check_response
from tests.shared.providers.responses.support import COST, ECHO, NOW, OPENING, USAGE, kinds


def answered(finish_reason: str | None = "stop", *, cost: Nanos | None = COST, **message: object) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", **message}, "finish_reason": finish_reason}
    body, _ = to_response({"id": "gen-1", "choices": [choice]}, OPENING, ECHO, USAGE, now=NOW)
    response: dict[str, Any] = json.loads(body.with_cost(cost))
    check_response(response)
    return response


def test_a_text_is_one_message() -> None:
    assert answered(content="Hello")["output"] == [
        {
            "type": "message",
            "id": "msg_00ff_0",
            "status": "completed",
            "role": "assistant",
            "content": [{"type": "output_text", "text": "Hello", "annotations": [], "logprobs": []}],
        }
    ]


def test_thoughts_come_first_then_words_then_calls() -> None:
    call = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"n": 1.50}'}}
    response = answered("tool_calls", content="a", refusal="No.", reasoning="Hm", tool_calls=[call])
    assert kinds(response) == ["reasoning", "message", "function_call"]
    assert response["output"][1]["content"][1] == {"type": "refusal", "refusal": "No."}
    assert response["output"][2]["arguments"] == '{"n": 1.50}'


def test_custom_and_old_calls_are_calls() -> None:
    custom = {"id": "c1", "type": "custom", "custom": {"name": "patch", "input": "***"}}
    assert answered(tool_calls=[custom])["output"][0]["input"] == "***"
    old = answered("function_call", function_call={"name": "f", "arguments": "{}"})["output"][0]
    assert (old["call_id"], old["arguments"]) == ("call_00ff_0", "{}")


@pytest.mark.parametrize(
    ("finish_reason", "details"),
    [
        ("length", {"reason": "max_output_tokens"}),
        ("content_filter", {"reason": "content_filter"}),
        ("stop", None),
        ("made_up", None),
        (None, None),
    ],
)
def test_how_it_ended_is_said(finish_reason: str | None, details: dict[str, str] | None) -> None:
    response = answered(finish_reason, content="a")
    assert response["incomplete_details"] == details
    assert response["output"][0]["status"] == ("completed" if details is None else "incomplete")


def test_an_answer_that_was_cut_was_cut_in_its_last_item() -> None:
    output = answered("length", content="a", reasoning="Hm")["output"]
    assert [item["status"] for item in output] == ["completed", "incomplete"]


def test_usage_and_cost_are_what_was_charged() -> None:
    usage = answered(content="a")["usage"]
    assert (usage["input_tokens"], usage["output_tokens"], usage["total_tokens"]) == (15, 20, 35)
    assert usage["cost"] == 0.000123
    assert "cost" not in answered(cost=None, content="a")["usage"]


@pytest.mark.parametrize("choices", [None, [], [None], [{}], [{"message": None}], [{"message": {"content": 7}}]])
def test_an_answer_that_says_nothing_has_no_items(choices: object) -> None:
    body, shown = to_response({"choices": choices}, OPENING, ECHO, None, now=NOW)
    response = json.loads(body.with_cost(None))
    check_response(response)
    assert (response, response["output"], response["usage"]) == (shown, [], None)
