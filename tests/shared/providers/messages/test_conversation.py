"""A conversation's messages and their blocks in chat's words."""

from typing import Any

import pytest

from shared.core.errors import InvalidRequest
from tests.shared.providers.messages.requests import (
    CACHED,
    IMAGE,
    IMAGE_PART,
    RESULT,
    THOUGHT,
    TOOL,
    USE,
    asked,
    text,
)


def turn(role: str, content: object) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = asked(messages=[{"role": role, "content": content}])["messages"]
    return messages


def test_text_and_a_lone_text_block_ask_for_the_same() -> None:
    assert turn("user", [text("hi")]) == turn("user", "hi")
    assert turn("assistant", [text("hi")]) == turn("assistant", "hi")
    assert asked(system=[text("be brief")]) == asked(system="be brief")


def test_system_prompt_is_the_first_message() -> None:
    assert asked(system="be brief")["messages"][0] == {"role": "system", "content": "be brief"}
    assert asked(system="")["messages"] == asked(system=[])["messages"] == asked()["messages"]


def test_cache_breakpoints_stay_where_they_were() -> None:
    request = asked(
        system=[text("long"), text("rules", cache_control=CACHED)],
        messages=[
            {"role": "user", "content": [text("a", cache_control={"type": "ephemeral", "ttl": "5m"})]},
            {"role": "assistant", "content": [{**USE, "cache_control": CACHED}]},
            {"role": "user", "content": [{**RESULT, "cache_control": CACHED}, {**IMAGE, "cache_control": CACHED}]},
        ],
        tools=[{**TOOL, "cache_control": CACHED}],
        cache_control=CACHED,
    )
    assert request["messages"][0]["content"] == [text("long"), text("rules", cache_control=CACHED)]
    assert request["messages"][1]["content"] == [text("a", cache_control={"type": "ephemeral", "ttl": "5m"})]
    assert "cache_control" not in str(request["messages"][2])
    assert request["messages"][3]["content"] == [text("42", cache_control=CACHED)]
    assert request["messages"][4]["content"] == [{**IMAGE_PART, "cache_control": CACHED}]
    assert request["tools"][0]["cache_control"] == request["cache_control"] == CACHED


def test_images_are_sent_by_their_bytes_or_their_address() -> None:
    address = {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}}
    parts = turn("user", [text("see"), IMAGE, address])[0]["content"]
    assert parts == [text("see"), IMAGE_PART, {"type": "image_url", "image_url": {"url": "https://x/y.png"}}]


def test_tool_results_become_messages_of_their_own_before_the_rest() -> None:
    messages = turn("user", [RESULT, {**RESULT, "tool_use_id": "t2", "content": [text("a"), IMAGE]}, text("and?")])
    assert messages == [
        {"role": "tool", "tool_call_id": "t1", "content": "42"},
        {"role": "tool", "tool_call_id": "t2", "content": [text("a"), IMAGE_PART]},
        {"role": "user", "content": "and?"},
    ]


@pytest.mark.parametrize(
    ("content", "said"),
    [("boom", "Error: boom"), ("", "Error:"), (None, "Error:"), ([IMAGE], [text("Error:"), IMAGE_PART])],
)
def test_result_that_failed_says_so_to_the_model(content: object, said: object) -> None:
    assert turn("user", [{**RESULT, "content": content, "is_error": True}])[0]["content"] == said
    assert turn("user", [{**RESULT, "content": "fine", "is_error": False}])[0]["content"] == "fine"


def test_assistant_turn_keeps_thoughts_text_and_calls() -> None:
    redacted = {"type": "redacted_thinking", "data": "enc=="}
    second = {**USE, "id": "t2", "input": {}, "caller": {"type": "direct"}}
    assert turn("assistant", [THOUGHT, redacted, text("so", citations=None), USE, second]) == [
        {
            "role": "assistant",
            "content": "so",
            "reasoning_details": [
                {
                    "type": "reasoning.text",
                    "text": "hm",
                    "signature": "sig==",
                    "format": "anthropic-claude-v1",
                    "index": 0,
                },
                {"type": "reasoning.encrypted", "data": "enc==", "format": "anthropic-claude-v1", "index": 1},
            ],
            "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
                {"id": "t2", "type": "function", "function": {"name": "f", "arguments": "{}"}},
            ],
        }
    ]
    assert turn("assistant", [USE])[0]["content"] is None
    assert turn("assistant", [{**THOUGHT, "signature": ""}]) == [
        {"role": "assistant", "content": "", "reasoning": "hm"}
    ]


def test_arguments_stay_readable_in_every_script() -> None:
    calls = turn("assistant", [{**USE, "input": {"città": "東京", "half": "\ud83d"}}])[0]["tool_calls"]
    assert calls[0]["function"]["arguments"] == '{"città":"東京","half":"\ud83d"}'


def test_instructions_in_the_middle_stay_there() -> None:
    assert turn("system", [text("a"), text("b")]) == [{"role": "system", "content": [text("a"), text("b")]}]


@pytest.mark.parametrize(
    ("blocks", "misplaced"),
    [
        ([text("a"), RESULT], 1),
        ([RESULT, text("a"), RESULT], 2),
        ([RESULT, RESULT, text("a"), RESULT], 3),
        ([RESULT, IMAGE, text("a"), RESULT, RESULT], 3),
    ],
)
def test_a_tool_result_that_stands_after_something_else_is_named(blocks: list[Any], misplaced: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        turn("user", blocks)
    assert refused.value.param == f"messages[0].content[{misplaced}]"
