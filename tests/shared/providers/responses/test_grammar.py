"""The checker of streams itself: it passes a right stream and names what is wrong with a wrong one."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.shared.providers.responses.grammar import read_events
from tests.shared.providers.responses.stream_machine import Event, StreamMachine, UngrammaticalStream
from tests.shared.providers.responses.support import chunk, piece, stream_of

RIGHT = read_events(
    stream_of(
        [
            chunk(reasoning="think"),
            chunk(content="Hel"),
            chunk(content="lo"),
            chunk(tool_calls=[piece(0, call_id="c", name="f", text="{}")]),
            chunk("tool_calls"),
        ]
    )
)

Change = Callable[[list[Event]], object]


def place_of(events: list[Event], kind: str) -> int:
    return next(index for index, event in enumerate(events) if event["type"] == kind)


def drop(kind: str) -> Change:
    return lambda events: events.pop(place_of(events, kind))


def change(kind: str, **fields: object) -> Change:
    return lambda events: events[place_of(events, kind)].update(fields)


def follow(events: list[Event]) -> None:
    machine = StreamMachine()
    for event in events:
        machine.take(event)
    machine.finish()


def renumbered(events: list[Event]) -> list[Event]:
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def test_a_right_stream_passes() -> None:
    follow(RIGHT)


@pytest.mark.parametrize("kind", sorted({event["type"] for event in RIGHT} - {"response.output_text.delta"}))
def test_a_stream_without_one_of_its_events_fails(kind: str) -> None:
    events: list[Event] = json.loads(json.dumps(RIGHT))
    drop(kind)(events)
    with pytest.raises(UngrammaticalStream):
        follow(renumbered(events))


@pytest.mark.parametrize("position", range(len(RIGHT) - 1))
def test_two_neighbours_that_changed_places_fail(position: int) -> None:
    events: list[Event] = json.loads(json.dumps(RIGHT))
    events[position], events[position + 1] = events[position + 1], events[position]
    with pytest.raises(UngrammaticalStream):
        follow(renumbered(events))


@pytest.mark.parametrize(
    "wrong",
    [
        change("response.output_text.delta", delta="x"),
        change("response.output_text.delta", content_index=1),
        change("response.output_text.delta", item_id="msg_other"),
        change("response.output_text.delta", output_index=0),
        change("response.output_text.delta", sequence_number=99),
        change("response.output_text.done", text="Hell"),
        change("response.reasoning_text.done", text=""),
        change("response.function_call_arguments.done", arguments="{"),
        change("response.output_item.added", output_index=1),
        lambda events: events[-1]["response"]["output"].pop(),
        lambda events: events[-1]["response"]["output"][1]["content"][0].update(text="Bye"),
        lambda events: events[-1]["response"].update(model="other"),
        lambda events: events[-1]["response"].update(status="incomplete"),
        lambda events: events[0]["response"].update(usage={}),
        lambda events: events.append(events[-1] | {"sequence_number": len(events)}),
    ],
)
def test_a_stream_that_contradicts_itself_fails(wrong: Change) -> None:
    events: list[Any] = json.loads(json.dumps(RIGHT))
    wrong(events)
    with pytest.raises(UngrammaticalStream):
        follow(events)


@pytest.mark.parametrize(
    "stream",
    [
        b"data: [DONE]\n\n",
        b"event: a\ndata: {}\n\n",
        b'event: a\ndata: {"type":"b"}\n\ndata: [DONE]\n\n',
        b'data: {"type":"a"}\n\ndata: [DONE]\n\n',
        b'event: a\ndata: {"type":"a"}\ndata: {}\n\ndata: [DONE]\n\n',
    ],
)
def test_bytes_that_are_no_stream_of_events_fail(stream: bytes) -> None:
    with pytest.raises(UngrammaticalStream):
        follow(read_events(stream))
