"""The checker itself: it takes what Anthropic sends and refuses what it must."""

import json
from typing import Any

import pytest

from tests.shared.providers.messages.grammar import Malformed, StreamChecker, check_stream

USAGE = {"input_tokens": 1, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, "output_tokens": 2}
MESSAGE: dict[str, Any] = {
    "id": "m",
    "type": "message",
    "role": "assistant",
    "content": [],
    "stop_reason": None,
    "usage": dict(USAGE),
}
START: dict[str, Any] = {"type": "message_start", "message": MESSAGE}
TEXT: dict[str, Any] = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
TOOL: dict[str, Any] = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "tool_use", "id": "t", "name": "n", "input": {}},
}
MORE: dict[str, Any] = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "hi"}}
JSON: dict[str, Any] = {
    "type": "content_block_delta",
    "index": 0,
    "delta": {"type": "input_json_delta", "partial_json": "[1]"},
}
STOP: dict[str, Any] = {"type": "content_block_stop", "index": 0}
ENDED = {"stop_reason": "end_turn", "stop_sequence": None, "stop_details": None}
END: dict[str, Any] = {"type": "message_delta", "delta": ENDED, "usage": USAGE}
OVER: dict[str, Any] = {"type": "message_stop"}
PING: dict[str, Any] = {"type": "ping"}


def stream(*events: dict[str, Any]) -> bytes:
    return b"".join(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode() for event in events)


def test_stream_as_documented_is_read_into_its_message() -> None:
    # https://platform.claude.com/docs/en/build-with-claude/streaming#basic-streaming-request
    message = check_stream(stream(START, PING, TEXT, MORE, MORE, STOP, END, OVER))
    assert message["content"] == [{"type": "text", "text": "hihi"}]
    assert message["stop_reason"] == "end_turn"


@pytest.mark.parametrize(
    "events",
    [
        (TEXT, MORE, STOP, END, OVER),
        (START, START, END, OVER),
        (START, MORE, END, OVER),
        (START, TEXT, TEXT, STOP, END, OVER),
        (START, TEXT, MORE, END, OVER),
        (START, TEXT, MORE, STOP, MORE, END, OVER),
        (START, TEXT, MORE, STOP, STOP, END, OVER),
        (START, {**TEXT, "index": 1}, END, OVER),
        (START, TEXT, {**MORE, "index": 1}, STOP, END, OVER),
        (START, TEXT, JSON, STOP, END, OVER),
        (START, TOOL, JSON, STOP, END, OVER),
        (START, TEXT, STOP, OVER),
        (START, TEXT, STOP, END),
        (START, END, OVER, PING),
        (START, {**END, "delta": {**ENDED, "stop_reason": "stop"}}, OVER),
        (START, {**END, "delta": {**ENDED, "stop_sequence": "x"}}, OVER),
        (START, {**END, "delta": {**ENDED, "stop_reason": "refusal"}}, OVER),
        (START, {**TEXT, "content_block": {"type": "text", "text": "early"}}, STOP, END, OVER),
        (START, {"type": "unheard_of"}, END, OVER),
    ],
)
def test_stream_that_breaks_a_rule_is_refused(events: tuple[dict[str, Any], ...]) -> None:
    with pytest.raises(Malformed):
        check_stream(stream(*json.loads(json.dumps(events))))


@pytest.mark.parametrize("data", [b"data: {}\n\n", b'event: ping\ndata: {"type": "message_stop"}\n\n', b"event: ping"])
def test_event_without_its_name_or_its_end_is_refused(data: bytes) -> None:
    with pytest.raises(Malformed):
        StreamChecker().feed(data)
