"""Anthropic's stream as its documentation describes it: a checker that knows nothing of how ours is made.

source  https://platform.claude.com/docs/en/build-with-claude/streaming#event-types
"""

import json
from typing import Any

STOP_REASONS = {
    "end_turn",
    "max_tokens",
    "stop_sequence",
    "tool_use",
    "pause_turn",
    "refusal",
    "model_context_window_exceeded",
}
DELTAS: dict[str, dict[str, str]] = {
    "text": {"text_delta": "text"},
    "thinking": {"thinking_delta": "thinking", "signature_delta": "signature"},
    "tool_use": {"input_json_delta": "partial_json"},
    "redacted_thinking": {},
}
EMPTY_BLOCKS: dict[str, dict[str, object]] = {
    "text": {"text": ""},
    "thinking": {"thinking": "", "signature": ""},
    "tool_use": {"input": {}},
}


class Malformed(AssertionError):
    """The stream is not what the documentation says."""


class StreamChecker:
    """Reads a stream event by event; `message` is what a client has put together from it."""

    def __init__(self) -> None:
        self.message: dict[str, Any] = {}
        self.error: dict[str, Any] | None = None
        self.pings = 0
        self._state = "new"
        self._partial_json = ""
        self._is_signed = False

    def feed(self, data: bytes) -> None:
        """Read whole events."""
        self._require(data.isascii() and (data.endswith(b"\n\n") or not data), "events end with a blank line")
        for event in data.split(b"\n\n")[:-1]:
            lines = event.split(b"\n")
            self._require(len(lines) == 2, "an event is two lines")
            self._require(lines[0].startswith(b"event: ") and lines[1].startswith(b"data: "), "event, then data")
            fields = json.loads(lines[1][6:])
            self._require(lines[0][7:].decode() == fields["type"], "an event is named by its type")
            self._take(fields["type"], fields)

    def finish(self) -> dict[str, Any]:
        """Return the message of a stream that has ended as it must."""
        self._require(self._state == "stopped", "a stream ends with message_stop")
        return self.message

    def _require(self, is_met: bool, rule: str) -> None:
        if not is_met:
            raise Malformed(f"{rule} (in state {self._state})")

    def _take(self, kind: str, fields: dict[str, Any]) -> None:
        self._require(self._state not in {"stopped", "failed"}, "nothing follows the end")
        if kind == "ping":
            self._require(fields == {"type": "ping"}, "a ping is empty")
            self.pings += 1
        elif kind == "error":
            self._state, self.error = "failed", fields
            self._require(set(fields["error"]) >= {"type", "message"}, "an error has a type and a message")
        elif kind == "message_start":
            self._start(fields["message"])
        elif kind == "content_block_start":
            self._start_block(fields)
        elif kind == "content_block_delta":
            self._fill_block(fields)
        elif kind == "content_block_stop":
            self._stop_block(fields)
        elif kind == "message_delta":
            self._end(fields)
        else:
            self._require(kind == "message_stop" and self._state == "ended", "message_stop follows message_delta")
            self._state = "stopped"

    def _start(self, message: dict[str, Any]) -> None:
        self._require(self._state == "new", "message_start comes first and once")
        self._require(message["type"] == "message" and message["role"] == "assistant", "it starts a message")
        self._require(message["content"] == [] and message["stop_reason"] is None, "the message starts empty")
        self._require(isinstance(message["usage"]["input_tokens"], int), "its usage is a count")
        self.message, self._state = message, "between"

    def _start_block(self, fields: dict[str, Any]) -> None:
        block = fields["content_block"]
        self._require(self._state == "between", "blocks follow one another")
        self._require(fields["index"] == len(self.message["content"]), "indexes count from 0")
        self._require(block["type"] in DELTAS, "the block is of a known type")
        empty = EMPTY_BLOCKS.get(block["type"], {})
        self._require(all(block[name] == value for name, value in empty.items()), "the block starts empty")
        self.message["content"].append(block)
        self._state, self._partial_json, self._is_signed = "in block", "", False

    def _fill_block(self, fields: dict[str, Any]) -> None:
        self._require(self._state == "in block", "a delta is of an open block")
        self._require(fields["index"] == len(self.message["content"]) - 1, "a delta names the open block")
        block, delta = self.message["content"][-1], fields["delta"]
        self._require(delta["type"] in DELTAS[block["type"]], "a delta is of its block's type")
        name = DELTAS[block["type"]][delta["type"]]
        self._require(set(delta) == {"type", name} and isinstance(delta[name], str), "a delta has one text")
        self._require(not self._is_signed, "a signature is the last of its block")
        self._is_signed = name == "signature"
        if name == "partial_json":
            self._partial_json += delta[name]
        else:
            block[name] += delta[name]

    def _stop_block(self, fields: dict[str, Any]) -> None:
        self._require(self._state == "in block", "a stop is of an open block")
        self._require(fields["index"] == len(self.message["content"]) - 1, "a stop names the open block")
        if self._partial_json:
            self.message["content"][-1]["input"] = read_input(self._partial_json)
        self._state = "between"

    def _end(self, fields: dict[str, Any]) -> None:
        self._require(self._state in {"between", "ended"}, "message_delta comes when no block is open")
        delta, usage = fields["delta"], fields["usage"]
        self._require(delta["stop_reason"] in STOP_REASONS, "the reason is a known one")
        self._require(
            delta["stop_sequence"] is None or delta["stop_reason"] == "stop_sequence", "only a match names a sequence"
        )
        self._require((delta["stop_details"] is not None) == (delta["stop_reason"] == "refusal"), "details of refusals")
        counts = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")
        self._require(all(isinstance(usage[name], int) for name in counts), "usage is counts, cumulative")
        self.message |= delta
        self.message["usage"] |= usage
        self._state = "ended"


def read_input(partial_json: str) -> object:
    """Return a call's input, where it is none as Anthropic's documentation carries it."""
    try:
        value = json.loads(partial_json)
    except ValueError:
        return {"INVALID_JSON": partial_json}
    if not isinstance(value, dict):
        raise Malformed("an input is an object")
    return value


def check_stream(*parts: bytes) -> dict[str, Any]:
    """Return the message of a whole stream."""
    checker = StreamChecker()
    for part in parts:
        checker.feed(part)
    return checker.finish()


def check_sent(data: bytes, *, is_whole: bool) -> None:
    """Check a stream as far as it was sent; a whole one ends with message_stop or with an error."""
    checker = StreamChecker()
    checker.feed(data)
    if is_whole and checker.error is None:
        checker.finish()
