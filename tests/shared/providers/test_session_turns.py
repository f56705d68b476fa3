"""What stands before a request's messages, and what a request and its answer leave."""

import json
from typing import Any

import pytest

from shared.core.errors import InvalidRequest
from shared.providers.session_turns import (
    IMAGE_LEFT_OUT,
    KeptMessage,
    continue_conversation,
    keep_answer,
    keep_messages,
    split_messages,
)

SYSTEM = {"role": "system", "content": "be brief"}
DEVELOPER = {"role": "developer", "content": "be kind"}
QUESTION = {"role": "user", "content": "q"}
ANSWER = {"role": "assistant", "content": "a"}


def calling(*ids: str, content: str | None = None) -> dict[str, Any]:
    calls = [{"id": one, "type": "function", "function": {"name": "f", "arguments": "{}"}} for one in ids]
    return {"role": "assistant", "content": content, "tool_calls": calls}


def result(call_id: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": call_id, "content": "r"}


def read(kept: KeptMessage) -> Any:
    return json.loads(bytes(kept.message))


def test_only_the_instructions_at_the_head_are_instructions() -> None:
    split = split_messages([SYSTEM, DEVELOPER, QUESTION, SYSTEM])
    assert (split.instructions, split.said) == ((SYSTEM, DEVELOPER), (QUESTION, SYSTEM))
    assert split_messages([SYSTEM]).said == ()
    assert split_messages([QUESTION]).instructions == ()


def test_own_instructions_stand_for_the_stored_ones() -> None:
    stored = [SYSTEM, QUESTION, ANSWER]
    assert continue_conversation(stored, split_messages([QUESTION])) == [SYSTEM, QUESTION, ANSWER, QUESTION]
    assert continue_conversation(stored, split_messages([DEVELOPER, QUESTION])) == [
        DEVELOPER,
        QUESTION,
        ANSWER,
        QUESTION,
    ]
    assert continue_conversation([], split_messages([QUESTION])) == [QUESTION]


@pytest.mark.parametrize(
    ("stored", "new", "left"),
    [
        ([QUESTION, calling("1")], [result("1")], [QUESTION, calling("1")]),
        ([QUESTION, calling("1")], [QUESTION], [QUESTION]),
        ([QUESTION, calling("1", "2")], [result("2")], [QUESTION, calling("2")]),
        ([QUESTION, calling("1", content="wait")], [QUESTION], [QUESTION, {"role": "assistant", "content": "wait"}]),
        ([QUESTION, calling("1"), result("1"), ANSWER], [QUESTION], [QUESTION, calling("1"), result("1"), ANSWER]),
        ([QUESTION, result("1"), ANSWER], [QUESTION], [QUESTION, ANSWER]),
        ([result("1"), calling("1")], [], []),
    ],
)
def test_calls_without_results_and_results_without_calls_are_left_out(
    stored: list[dict[str, Any]], new: list[dict[str, Any]], left: list[dict[str, Any]]
) -> None:
    assert continue_conversation(stored, split_messages(new)) == [*left, *new]


def test_a_call_whose_id_comes_again_is_not_answered_by_the_other_s_result() -> None:
    stored = [QUESTION, calling("1", content="wait"), QUESTION, calling("1")]
    assert continue_conversation(stored, split_messages([result("1")])) == [
        QUESTION,
        {"role": "assistant", "content": "wait"},
        QUESTION,
        calling("1"),
        result("1"),
    ]


def test_a_call_stands_where_its_results_come_late() -> None:
    stored = [QUESTION, calling("1", "2", "3"), QUESTION, ANSWER]
    continued = continue_conversation(stored, split_messages([result("1"), result("2"), QUESTION]))
    called = [QUESTION, QUESTION, ANSWER, calling("1", "2"), result("1"), result("2"), QUESTION]
    assert continued == called
    apart = [QUESTION, calling("1", "2"), result("1"), QUESTION, ANSWER, result("2"), ANSWER]
    assert continue_conversation(apart, split_messages([QUESTION])) == [
        QUESTION,
        calling("1", "2"),
        result("1"),
        result("2"),
        QUESTION,
        ANSWER,
        ANSWER,
        QUESTION,
    ]


def test_what_a_request_says_itself_is_said_as_it_is() -> None:
    new = [calling("1", "2"), result("2"), QUESTION, result("9")]
    assert continue_conversation([QUESTION, calling("1")], split_messages(new)) == [QUESTION, *new]


def test_a_message_is_kept_without_its_images_marks_and_thoughts() -> None:
    (kept,) = keep_messages(
        [
            {
                "role": "assistant",
                "content": [
                    {"type": "text", "text": "t", "cache_control": {"type": "ephemeral"}},
                    {"type": "image_url", "image_url": {"url": "DATA:image/png;base64,AAAA"}},
                    {"type": "image_url", "image_url": "data:image/png;base64,AAAA"},
                    {"type": "image_url", "image_url": {"url": "https://images.example/a.png"}},
                ],
                "reasoning": "hm",
                "reasoning_details": [{}],
                "cache_control": {"type": "ephemeral"},
                "name": None,
            }
        ]
    )
    content = [
        {"type": "text", "text": "t"},
        IMAGE_LEFT_OUT,
        IMAGE_LEFT_OUT,
        {"type": "image_url", "image_url": {"url": "https://images.example/a.png"}},
    ]
    assert read(kept) == {"role": "assistant", "content": content}
    assert kept.tokens is None


def test_calls_are_kept_as_they_are() -> None:
    message = calling("1")
    (kept,) = keep_messages([message])
    assert (read(kept), kept.tokens) == (message, None)


@pytest.mark.parametrize("backslashes", range(5))
def test_only_null_characters_become_others(backslashes: int) -> None:
    text = "\\" * backslashes + "u0000" + "\\" * backslashes + "\x00"
    (kept,) = keep_messages([{"role": "user", "content": text}])
    assert read(kept)["content"] == text.replace("\x00", "\ufffd")
    assert b"\\\\u0000" in bytes(kept.message) or backslashes == 0


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
def test_what_json_does_not_know_is_refused(value: float) -> None:
    with pytest.raises(InvalidRequest) as refused:
        keep_messages([{"role": "user", "content": [{"type": "text", "text": "t", "more": value}]}])
    assert refused.value.param == "messages"


def test_what_is_too_deep_is_refused() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidRequest):
        keep_messages([{"role": "user", "content": [{"type": "text", "text": deep}]}])


def item(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


CALL = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": "{}", "status": "completed"}


def test_an_answer_is_one_message_with_the_tokens_that_were_counted() -> None:
    (kept,) = keep_answer([item("a"), CALL], 7)
    assert read(kept)["content"] == "a"
    assert read(kept)["tool_calls"][0]["id"] == "c"
    assert kept.tokens == 7
    assert keep_answer([item("a")], None)[0].tokens is None


def test_an_answer_of_thoughts_alone_is_none() -> None:
    thoughts = {"type": "reasoning", "id": "rs_1", "summary": [], "content": [{"type": "reasoning_text", "text": "hm"}]}
    assert keep_answer([thoughts], 7) == []
    assert keep_answer([item("")], 7) == []
    assert keep_answer([], 0) == []
    (kept,) = keep_answer([thoughts, item("a")], 7)
    assert read(kept) == {"role": "assistant", "content": "a"}
