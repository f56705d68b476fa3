"""The grammar of a response and of its stream: OpenAI's own types, the specification's fields, events in their order.

source  https://www.openresponses.org/specification (Streaming, Items are streamable, Errors), schema/events.tsp of
        github.com/openresponses/openresponses, and the event classes of the openai package
"""

import json
from collections.abc import Mapping
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from tests.shared.providers.responses.stream_machine import Event, StreamMachine, require

_EVENTS: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def read_events(stream: bytes) -> list[Event]:
    """Cut a finished stream into its events: each has its name and one line of data, and [DONE] is the last."""
    frames = stream.split(b"\n\n")
    require(frames[-1] == b"" and frames[-2] == b"data: [DONE]", "the stream does not end with [DONE]")
    return [_read_frame(frame) for frame in frames[:-2]]


def read_partial(stream: bytes) -> list[Event]:
    """Cut what has come of a stream into its events."""
    return [_read_frame(frame) for frame in stream.split(b"\n\n") if frame]


def check_stream(stream: bytes) -> dict[str, Any]:
    """Check a whole stream and return its last response; its events and objects also parse as OpenAI's own types."""
    for event in read_events(stream):
        _EVENTS.validate_python(event, strict=True)
    response = follow(stream)
    check_response(response)
    return response


def check_sent(stream: bytes, *, is_whole: bool) -> None:
    """Check a stream as far as it was sent, its end too where it has one."""
    if is_whole:
        check_stream(stream)
        return
    machine = StreamMachine()
    for event in read_partial(stream.removesuffix(b": ping\n").removesuffix(b"data: [DONE]\n\n")):
        _EVENTS.validate_python(event, strict=True)
        machine.take(event)


def follow(stream: bytes) -> dict[str, Any]:
    """Check the order and the sums of a whole stream and return its last response."""
    machine = StreamMachine()
    for event in read_events(stream):
        machine.take(event)
    return machine.finish()


def check_response(response: Mapping[str, Any]) -> None:
    """Check a response's own rules: OpenAI's type, the specification's required fields, statuses that agree."""
    Response.model_validate(response, strict=True)
    missing = _REQUIRED - response.keys()
    require(not missing, f"the response lacks {missing}")
    status, output = response["status"], response["output"]
    require((response["completed_at"] is not None) == (status == "completed"), "completed_at and status disagree")
    require((response["incomplete_details"] is not None) == (status == "incomplete"), "incomplete without details")
    require((response["error"] is not None) == (status == "failed"), "failed without error, or an error without")
    for item in output:
        require(item["status"] in ("completed", "incomplete"), "an item of an ended response is still in progress")
    if status == "completed":
        require(all(item["status"] == "completed" for item in output), "a completed response with an incomplete item")
    if status == "incomplete":
        cut = [item for item in output[:-1] if item["status"] != "completed"]
        require(not cut, "an incomplete item is not the last one")
    ids = [item["id"] for item in output]
    require(len(set(ids)) == len(ids), "two items share an id")


_REQUIRED = frozenset(
    {
        "id",
        "object",
        "created_at",
        "completed_at",
        "status",
        "incomplete_details",
        "model",
        "previous_response_id",
        "instructions",
        "output",
        "error",
        "tools",
        "tool_choice",
        "truncation",
        "parallel_tool_calls",
        "text",
        "top_p",
        "presence_penalty",
        "frequency_penalty",
        "top_logprobs",
        "temperature",
        "reasoning",
        "usage",
        "max_output_tokens",
        "max_tool_calls",
        "store",
        "background",
        "service_tier",
        "metadata",
        "safety_identifier",
        "prompt_cache_key",
    }
)


def _read_frame(frame: bytes) -> Event:
    lines = [line for line in frame.split(b"\n") if not line.startswith(b":")]
    require(len(lines) == 2, "a frame is not an event line and a data line")
    require(lines[0].startswith(b"event: ") and lines[1].startswith(b"data: "), "a frame lacks its fields")
    event: Event = json.loads(lines[1].removeprefix(b"data: "))
    require(event["type"] == lines[0].removeprefix(b"event: ").decode(), "an event's name is not its type")
    return event
