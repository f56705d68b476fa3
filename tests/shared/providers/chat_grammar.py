"""A chat completion's stream as OpenAI's clients read it: what may stand between, and how it may end.

source  https://platform.openai.com/docs/api-reference/chat-streaming, https://html.spec.whatwg.org/#event-stream-interpretation
"""

import json
from typing import Any

DONE = "[DONE]"


class UngrammaticalChat(AssertionError):
    """The stream is not one that official clients take."""


def check_sent(data: bytes, *, is_whole: bool) -> None:
    """Check a stream as far as it was sent; a whole one ends with [DONE], or with an error and without it."""
    payloads = read_payloads(data)
    _require(DONE not in payloads[:-1], "something follows [DONE]")
    chunks = [json.loads(payload) for payload in payloads if payload != DONE]
    for place, chunk in enumerate(chunks):
        _require(isinstance(chunk, dict), "a payload is not an object")
        _require("error" not in chunk or place == len(payloads) - 1, "something follows an error")
    _check_usage(chunks)
    if is_whole:
        has_failed = bool(chunks) and "error" in chunks[-1]
        _require(has_failed or payloads[-1:] == [DONE], "the stream has no end")


def _check_usage(chunks: list[dict[str, Any]]) -> None:
    told = [place for place, chunk in enumerate(chunks) if chunk.get("usage") is not None]
    if told:
        _require(told == [len(chunks) - 1], "usage is told before the end, or twice")
        usage = chunks[-1]["usage"]
        _require(chunks[-1]["choices"] == [], "usage stands beside a choice")
        counts = [usage[name] for name in ("prompt_tokens", "completion_tokens", "total_tokens")]
        _require(all(isinstance(count, int) and count >= 0 for count in counts), "usage is counts")
        _require(counts[0] + counts[1] == counts[2], "the total is not the sum")


def read_payloads(data: bytes) -> list[str]:
    """Cut a stream into payloads and refuse what official clients cannot take: id, retry, empty data, comments."""
    lines = data.decode().replace("\r\n", "\n").split("\n")
    _require(lines[-1] == "", "the stream ends within a line")
    payloads: list[str] = []
    pending: list[str] = []
    for line in lines[:-1]:
        if line.startswith("data:"):
            pending.append(line.removeprefix("data:").removeprefix(" "))
        elif line == "":
            _require(bool(pending), "a blank line without data before it")
            payloads.append("\n".join(pending))
            pending = []
        elif line.startswith("event:"):
            # A provider's, passed on: clients act on an error's and on the threads' of another API alone.
            name = line.removeprefix("event:").strip()
            _require(name != "error" and not name.startswith("thread."), f"an event that clients act on: {name}")
            _require(not pending, "an event's name after its data")
        else:
            _require(line == ": ping", f"a line that clients do not take: {line}")
            _require(not pending, "a ping inside an event")
    _require(not pending, "an event without its end")
    _require(all(payload.strip() for payload in payloads), "empty data")
    return payloads


def _require(is_met: bool, rule: str) -> None:
    if not is_met:
        raise UngrammaticalChat(rule)
