"""What the tests of the Responses dialect share: an opening, usage, and a way to run a stream."""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from shared.core.money import Nanos
from shared.providers.responses.output import Opening
from shared.providers.responses.request import to_chat
from shared.providers.responses.stream import ResponseStream
from shared.providers.sse import EventParser
from shared.providers.usage import UsageReport
from tests.shared.providers.responses.grammar import read_events

OPENING = Opening(response_id="resp_00ff", created_at=1_780_000_000, model="openai/gpt-4o-mini")
NOW = 1_780_000_005
ECHO = to_chat({"model": "openai/gpt-4o-mini", "input": "hi"}).echo
USAGE = UsageReport(input_tokens=10, cached_input_tokens=3, cache_write_tokens=2, output_tokens=20, reasoning_tokens=5)
COST = Nanos(123_000)


def stream_of(chunks: Iterable[Mapping[str, Any]], *, usage: UsageReport | None = USAGE) -> bytes:
    """Return the whole stream that chunks become."""
    stream = ResponseStream(OPENING, ECHO)
    begun = stream.begin()
    taken = b"".join(stream.take(chunk) for chunk in chunks)
    return begun + taken + stream.complete(usage, now=NOW).with_cost(COST)


def chunks_of(recorded: bytes) -> list[dict[str, Any]]:
    """Return the chunks of a recorded stream."""
    return [json.loads(event.data) for event in EventParser().feed(recorded) if event.data != b"[DONE]"]


def chunk(finish_reason: str | None = None, **delta: object) -> dict[str, Any]:
    """Return a chat chunk."""
    return {
        "id": "gen-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish_reason}],
    }


def piece(index: int | None, *, call_id: str | None = None, name: str | None = None, text: str | None = None) -> Any:
    """Return a piece of a function call; what is None is missing."""
    function = {key: value for key, value in (("name", name), ("arguments", text)) if value is not None}
    fields: dict[str, object] = {"index": index, "id": call_id, "type": "function" if name else None}
    return {key: value for key, value in fields.items() if value is not None} | {"function": function}


def kinds(response: Mapping[str, Any]) -> list[str]:
    """Return the types of a response's items."""
    return [item["type"] for item in response["output"]]


def begun(chunks: Iterable[Mapping[str, Any]] = ()) -> tuple[ResponseStream, bytes]:
    """Return a stream that has taken these chunks, and what it has sent so far."""
    stream = ResponseStream(OPENING, ECHO)
    return stream, stream.begin() + b"".join(stream.take(taken) for taken in chunks)


def types_of(stream: bytes) -> list[str]:
    """Return the types of a stream's events, in their order."""
    return [event["type"].removeprefix("response.") for event in read_events(stream)]


def texts_of(response: Mapping[str, Any]) -> list[str]:
    """Return what a response's messages say, part by part."""
    return [part["text"] for item in response["output"] if item["type"] == "message" for part in item["content"]]
