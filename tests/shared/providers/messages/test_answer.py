"""A whole completion as a message."""

import json
from typing import Any

import pytest

from shared.providers.messages.answer import to_message
from shared.providers.messages.request import Echo
from tests.shared.providers.messages.asking import COST, ECHO, MESSAGE_ID, MODEL, USAGE, call, content, whole


def test_message_has_all_fields_of_its_dialect() -> None:
    message = whole({"role": "assistant", "content": "Hi"}, finish_reason="stop")
    usage = message.pop("usage")
    assert message == {
        "id": MESSAGE_ID,
        "type": "message",
        "role": "assistant",
        "model": MODEL,
        "content": [{"type": "text", "text": "Hi"}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "stop_details": None,
    }
    assert usage["input_tokens"] == 30 and usage["cost"] == 0.0000015


def test_digits_of_arguments_stay_as_they_came() -> None:
    arguments = '{"price": 1.10, "big": 123456789012345678901234567890, "e": 1e2, "same": 1, "same": 2}'
    answer = to_message(
        {"choices": [{"message": {"content": None, "tool_calls": [call(0, "a", "f", arguments)]}}]},
        message_id=MESSAGE_ID,
        model=MODEL,
        echo=ECHO,
        usage=USAGE,
    )
    assert b'"input":' + arguments.encode() + b"}" in answer.with_cost(COST)


@pytest.mark.parametrize("text", ["é €", "😀", "\ud83d", '"\\u0041\\n"'])
def test_texts_and_arguments_of_every_script_survive(text: str) -> None:
    arguments = json.dumps({"x": text}, ensure_ascii=False)
    message = whole({"content": text, "tool_calls": [call(0, "a", "f", arguments)]})
    assert content(message)[0]["text"] == text
    assert content(message)[1]["input"] == {"x": text}


def test_thoughts_come_first_then_text_then_calls_in_their_order() -> None:
    message = whole(
        {
            "content": "text",
            "reasoning": "ab",
            "reasoning_details": [
                {"type": "reasoning.text", "text": "a", "signature": "s", "format": "anthropic-claude-v1", "index": 0},
                {"type": "reasoning.encrypted", "data": "enc==", "format": "anthropic-claude-v1", "index": 1},
                {"type": "reasoning.text", "text": "b", "format": "anthropic-claude-v1", "index": 2},
            ],
            # Two calls with the same index, as some providers number them.
            "tool_calls": [call(0, "a", "f", "{}"), call(0, "a", "f", "{}"), call(0, "b", "g", '{"y":1}')],
        },
        finish_reason="tool_calls",
    )
    assert content(message) == [
        {"type": "thinking", "thinking": "a", "signature": "s"},
        {"type": "redacted_thinking", "data": "enc=="},
        {"type": "thinking", "thinking": "b", "signature": ""},
        {"type": "text", "text": "text"},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "a", "name": "f", "input": {}},
        {"type": "tool_use", "id": "b", "name": "g", "input": {"y": 1}},
    ]


@pytest.mark.parametrize(
    ("message", "thinking"),
    [
        ({"reasoning_content": "old name"}, "old name"),
        ({"reasoning": "new", "reasoning_content": "new"}, "new"),
        ({"reasoning": "summed", "reasoning_details": [{"type": "reasoning.encrypted", "data": "x"}]}, "summed"),
        ({"reasoning": "sum", "reasoning_details": [{"type": "reasoning.summary", "summary": "sum"}]}, "sum"),
    ],
)
def test_thought_is_read_from_whichever_field_has_it(message: dict[str, Any], thinking: str) -> None:
    blocks = content(whole({"content": "x", **message}))
    assert [block["thinking"] for block in blocks if block["type"] == "thinking"] == [thinking]


@pytest.mark.parametrize("completion", [{}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]}])
def test_completion_that_says_nothing_is_an_empty_message(completion: dict[str, Any]) -> None:
    answer = to_message(completion, message_id=MESSAGE_ID, model=MODEL, echo=ECHO, usage=USAGE)
    message = json.loads(answer.with_cost(COST))
    assert message["content"] == [] and message["stop_reason"] == "end_turn"


@pytest.mark.parametrize("arguments", ['{"x": ', "[1]", "x", '{"x": NaN}', '{"x": "\n"}'])
def test_arguments_that_are_no_object_are_carried_as_documented(arguments: str) -> None:
    message = whole({"tool_calls": [call(0, "a", "f", arguments)]}, finish_reason="length")
    assert content(message)[0]["input"] == {"INVALID_JSON": arguments}


def test_function_call_of_old_is_a_call() -> None:
    message = whole({"content": None, "function_call": {"name": "f", "arguments": '{"x":1}'}})
    assert content(message) == [{"type": "tool_use", "id": "toolu_01_1", "name": "f", "input": {"x": 1}}]


def test_thoughts_that_are_not_to_be_seen_are_not_told() -> None:
    message = whole({"content": "x", "reasoning": "secret"}, Echo(is_thinking_omitted=True))
    assert content(message)[0]["thinking"] == "" and b"secret" not in json.dumps(message).encode()
