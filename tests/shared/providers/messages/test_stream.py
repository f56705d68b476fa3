"""Chat chunks as Anthropic's events, over what providers really stream."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.core.errors import GatewayError
from shared.providers.failures import ProviderOverloaded
from shared.providers.messages.request import Echo, to_chat
from shared.providers.messages.stream import MessageStream
from tests.shared.providers.messages import recorded
from tests.shared.providers.messages.asking import (
    COST,
    MESSAGE_ID,
    MODEL,
    USAGE,
    call,
    content,
    delta,
    open_stream,
    streamed,
    texts,
)
from tests.shared.providers.messages.grammar import StreamChecker, check_stream


@pytest.mark.parametrize("name", sorted(recorded.ALL))
def test_every_recorded_stream_becomes_one_as_documented(name: str) -> None:
    message = streamed(recorded.ALL[name])
    assert message["id"] == MESSAGE_ID and message["model"] == MODEL
    assert message["usage"]["output_tokens"] == USAGE.output_tokens


def test_thinking_of_claude_keeps_its_signature_and_its_call() -> None:
    message = streamed(recorded.CLAUDE_THINKS_AND_CALLS)
    assert content(message) == recorded.CLAUDE_CONTENT
    assert message["stop_reason"] == "tool_use"


def test_thinking_of_another_vendor_comes_back_as_it_was() -> None:
    message = streamed(recorded.GEMINI_THINKS_AND_CALLS)
    assert [block["type"] for block in content(message)] == ["thinking", "redacted_thinking", "tool_use"]
    assert content(message)[0]["thinking"] == "**Assessing**\n\n**Pinpointing**\n"
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content(message)}]
    asked = to_chat({"model": "m", "max_tokens": 9, "messages": turns}).chat_body["messages"][1]
    assert asked["reasoning_details"] == [
        {
            "type": "reasoning.text",
            "text": "**Assessing**\n\n**Pinpointing**\n",
            "format": "google-gemini-v1",
            "index": 0,
        },
        {
            "type": "reasoning.encrypted",
            "data": "CiUBjz1rX+QN==",
            "format": "google-gemini-v1",
            "id": "tool_weather_wJM",
            "index": 0,
        },
    ]


@pytest.mark.parametrize("format_name", ["openai-responses-v1", "unknown"])
def test_summary_of_thoughts_comes_back_as_it_was(format_name: str) -> None:
    # https://openrouter.ai/docs/use-cases/reasoning-tokens#reasoning_details-array-structure
    summary = {"type": "reasoning.summary", "summary": "**Adding**", "format": format_name, "id": "rs_1", "index": 0}
    encrypted = {
        "type": "reasoning.encrypted",
        "data": "gAAA",
        "format": "openai-responses-v1",
        "id": "rs_1",
        "index": 1,
    }
    message = streamed(
        [delta(reasoning="**Adding**", reasoning_details=[summary]), delta(reasoning_details=[encrypted])]
    )
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content(message)}]
    asked = to_chat({"model": "m", "max_tokens": 9, "messages": turns}).chat_body["messages"][1]
    assert asked["reasoning_details"] == [summary, encrypted]


def test_thought_that_comes_under_two_names_is_told_once() -> None:
    message = streamed(recorded.VLLM_REASONING_TWICE)
    assert content(message)[0] == {"type": "thinking", "thinking": "Let me see.", "signature": ""}
    assert texts(message) == ["thinking", "42"]


def test_contents_in_parts_are_read() -> None:
    assert texts(streamed(recorded.MISTRAL_PARTS)) == ["thinking", "42"]


def test_end_that_is_said_twice_keeps_the_reason_that_says_more() -> None:
    assert streamed(recorded.OPENROUTER_ENDS_TWICE)["stop_reason"] == "max_tokens"


def test_text_after_calls_is_a_block_of_its_own() -> None:
    chunks = [delta(content="1"), delta(tool_calls=[call(0, "a", "f", '{"x":1}')]), delta(content="2", reasoning="?")]
    assert [block["type"] for block in content(streamed(chunks))] == ["text", "tool_use", "thinking", "text"]


def test_thoughts_between_texts_are_blocks_of_their_own() -> None:
    chunks = [delta(reasoning="a"), delta(content="1"), delta(reasoning="b"), delta(content="2")]
    assert texts(streamed(chunks)) == ["thinking", "1", "thinking", "2"]


def test_signature_ends_a_thought_and_another_index_begins_one() -> None:
    chunks = [
        recorded.thought("a", signature="s1"),
        recorded.thought("b"),
        recorded.thought("c", index=1),
        recorded.thought(signature="s3", index=1),
    ]
    assert content(streamed(chunks)) == [
        {"type": "thinking", "thinking": "a", "signature": "s1"},
        {"type": "thinking", "thinking": "b", "signature": ""},
        {"type": "thinking", "thinking": "c", "signature": "s3"},
    ]


def test_emoji_cut_in_two_arrives_whole() -> None:
    stream = open_stream()
    parts = [stream.take(delta(content="a\ud83d")), stream.take(delta(content="\ude00b"))]
    assert b"\\ud83d" not in parts[0] and b"\\ud83d\\ude00b" in parts[1]
    assert texts(check_stream(*parts, stream.complete(USAGE).with_cost(COST))) == ["a😀b"]


def test_half_an_emoji_that_stays_alone_is_kept() -> None:
    assert texts(streamed([delta(content="a\ud83d"), delta(reasoning="b")])) == ["a\ud83d", "thinking"]


@pytest.mark.parametrize(
    "chunk",
    [
        {"choices": []},
        {"choices": None},
        {},
        {"choices": [None, {"index": 1, "delta": {"content": "of another choice"}}]},
        delta(),
        delta(role="assistant"),
        delta(content=None, tool_calls=None, reasoning_details=None, refusal=None),
        delta(content=7, tool_calls=[None, 3], reasoning_details=["x", {"type": 1}], reasoning=[]),
        {"choices": [{"index": 0, "delta": None, "finish_reason": None}]},
    ],
)
def test_chunk_that_says_nothing_writes_nothing(chunk: dict[str, Any]) -> None:
    stream = open_stream()
    stream.begin()
    assert stream.take(chunk) == b""


def steps_of(stream: MessageStream) -> dict[str, Callable[[], bytes]]:
    return {
        "begin": stream.begin,
        "ping": stream.ping,
        "take": lambda: stream.take(delta(content="x")),
        "complete": lambda: stream.complete(USAGE).with_cost(COST),
        "incomplete": lambda: stream.incomplete("max_tokens", USAGE).with_cost(COST),
        "fail": lambda: stream.fail(GatewayError("no"), "req_1", USAGE).with_cost(COST),
    }


@pytest.mark.parametrize("first", ["begin", "ping", "take", "complete"])
def test_begin_is_written_once_and_by_whatever_comes_first(first: str) -> None:
    steps = steps_of(open_stream())
    written = steps[first]() + b"".join(steps[name]() for name in ("begin", "ping", "take", "complete"))
    assert written.startswith(b"event: message_start\n") and written.count(b"event: message_start\n") == 1
    check_stream(written)


@pytest.mark.parametrize("end", ["complete", "incomplete", "fail"])
def test_nothing_is_written_after_an_end(end: str) -> None:
    steps = steps_of(open_stream())
    steps["take"]()
    assert steps[end]()
    assert {name: step() for name, step in steps.items()} == dict.fromkeys(steps, b"")


def test_usage_and_what_was_charged_are_told_at_the_end() -> None:
    message = streamed([delta(content="x")])
    assert message["usage"] == {
        "input_tokens": 30,
        "cache_creation_input_tokens": 10,
        "cache_read_input_tokens": 20,
        "cache_creation": {"ephemeral_5m_input_tokens": 10, "ephemeral_1h_input_tokens": 0},
        "output_tokens": 7,
        "output_tokens_details": {"thinking_tokens": 3},
        "service_tier": "standard",
        "cost": 0.0000015,
    }


def test_amount_that_is_not_known_is_left_out() -> None:
    stream = open_stream()
    message = check_stream(stream.complete(USAGE).with_cost(None))
    assert "cost" not in message["usage"] and message["usage"]["output_tokens"] == 7


def test_answer_that_is_cut_closes_its_block_and_says_why() -> None:
    stream = open_stream()
    written = stream.take(delta(content="x"))
    message = check_stream(written, stream.incomplete("max_tokens", USAGE).with_cost(COST))
    assert message["stop_reason"] == "max_tokens" and texts(message) == ["x"]


def test_failure_leaves_half_a_call_open_and_tells_what_was_used() -> None:
    stream, checker = open_stream(), StreamChecker()
    checker.feed(stream.take(delta(tool_calls=[call(0, "a", "f", '{"x"')])))
    checker.feed(stream.fail(ProviderOverloaded("Retry."), "req_1", USAGE).with_cost(COST))
    assert checker.error is not None
    assert checker.error["error"]["type"] == "overloaded_error"
    assert checker.error["request_id"] == "req_1"
    assert checker.error["usage"]["output_tokens"] == 7 and checker.error["usage"]["cost"] == 0.0000015


def test_thoughts_that_are_not_to_be_seen_come_back_all_the_same() -> None:
    echo = Echo(is_thinking_omitted=True)
    chunks = [recorded.thought("secret "), recorded.thought("plan", signature="s"), delta(content="x")]
    message = streamed(chunks, echo)
    thinking = content(message)[0]
    assert thinking["thinking"] == "" and thinking["signature"]
    turns = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": content(message)}]
    asked = to_chat({"model": "m", "max_tokens": 9, "messages": turns}).chat_body["messages"][1]
    assert asked["reasoning_details"][0]["text"] == "secret plan"
    assert asked["reasoning_details"][0]["signature"] == "s"
    plain = streamed([delta(reasoning="aloud"), delta(content="x")], echo)
    turns[1] = {"role": "assistant", "content": content(plain)}
    asked = to_chat({"model": "m", "max_tokens": 9, "messages": turns}).chat_body["messages"][1]
    assert asked == {"role": "assistant", "content": "x", "reasoning": "aloud"}
