"""What the tests of the dialect share: an answer given as chunks and as a whole, and read back."""

import json
from collections.abc import Iterable
from typing import Any

from shared.core.money import Nanos
from shared.providers.messages.answer import to_message
from shared.providers.messages.request import Echo
from shared.providers.messages.stream import MessageStream
from shared.providers.usage import UsageReport
from tests.shared.providers.messages.grammar import check_stream

USAGE = UsageReport(input_tokens=30, cached_input_tokens=20, cache_write_tokens=10, output_tokens=7, reasoning_tokens=3)
ECHO = Echo()
MESSAGE_ID, MODEL = "msg_01", "vendor/model"
COST = Nanos(1_500)


def open_stream(echo: Echo = ECHO) -> MessageStream:
    return MessageStream(echo, message_id=MESSAGE_ID, model=MODEL)


def streamed(chunks: Iterable[dict[str, Any]], echo: Echo = ECHO) -> dict[str, Any]:
    """Return what a client has after the stream of the chunks, which must be one as the documentation has it."""
    stream = open_stream(echo)
    parts = [stream.take(json.loads(json.dumps(chunk))) for chunk in chunks]
    return check_stream(stream.begin(), *parts, stream.complete(USAGE).with_cost(COST))


def whole(message: dict[str, Any], echo: Echo = ECHO, **choice: object) -> dict[str, Any]:
    completion = {"choices": [{"index": 0, "message": message, **choice}]}
    answer = to_message(json.loads(json.dumps(completion)), message_id=MESSAGE_ID, model=MODEL, echo=echo, usage=USAGE)
    read: dict[str, Any] = json.loads(answer.with_cost(COST))
    return read


def delta(finish_reason: str | None = None, /, **fields: object) -> dict[str, Any]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": finish_reason}]}


def call(index: int | None = 0, call_id: str = "", name: str = "", arguments: object = "") -> dict[str, Any]:
    piece: dict[str, Any] = {"type": "function", "function": {"arguments": arguments}}
    if index is not None:
        piece["index"] = index
    if call_id:
        piece["id"] = call_id
    if name:
        piece["function"]["name"] = name
    return piece


def content(message: dict[str, Any]) -> list[dict[str, Any]]:
    blocks: list[dict[str, Any]] = message["content"]
    return blocks


def texts(message: dict[str, Any]) -> list[str]:
    """Return the blocks' texts; of a block without one its type."""
    return [block.get("text", block["type"]) for block in content(message)]
