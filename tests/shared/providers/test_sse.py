"""Cutting bytes into events."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.sse import MAX_EVENT_BYTES, Event, EventParser, EventTooLarge
from tests.shared.providers.recorded import OPENROUTER_STREAM

LINE_END = re.compile(rb"\r\n|\n|\r")
LINES = st.sampled_from(
    [
        b"",
        b"",
        b"data: a",
        b"data:b",
        b"data:  c",
        b"data",
        b"data:",
        b"data: ",
        b'data: {"x":"\xf0\x9f\x98\x80"}',
        b"event: e",
        b"event:f",
        b"id: 7",
        b"retry: 5",
        b": comment",
        b":",
        b"unknown: x",
        b"\xff\xfegarbage",
        b"datas: x",
    ]
)
ENDINGS = st.sampled_from([b"\n", b"\r\n", b"\r"])
STREAMS = st.lists(st.tuples(LINES, ENDINGS), max_size=25).map(lambda lines: b"".join(a + b for a, b in lines))
MARKS = st.sampled_from([b"", b"\xef\xbb\xbf"])


def feed_all(pieces: list[bytes]) -> list[Event]:
    parser = EventParser()
    events = [event for piece in pieces for event in parser.feed(piece)]
    return events + parser.finish().events


def reference(stream: bytes) -> list[tuple[bytes, str]]:
    """Read payload and name of each event, one line at a time, as the standard tells it."""
    events: list[tuple[bytes, str]] = []
    lines = LINE_END.split(stream.removeprefix(b"\xef\xbb\xbf"))
    payload: list[bytes] = []
    name = b""
    for line in lines[:-1]:
        if not line:
            if b"".join(payload).strip():
                events.append((b"\n".join(payload), name.decode()))
            payload, name = [], b""
        elif line.startswith(b":"):
            continue
        else:
            field, _, value = line.partition(b":")
            value = value[1:] if value[:1] == b" " else value
            if field == b"data":
                payload.append(value)
            if field == b"event":
                name = value
    return events


def split_at(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(places)]


@given(MARKS, STREAMS, st.lists(st.integers(0, 10_000), max_size=30))
def test_any_split_gives_the_same_events_as_one_piece(mark: bytes, stream: bytes, cuts: list[int]) -> None:
    whole = mark + stream
    assert feed_all(split_at(whole, cuts)) == feed_all([whole])


@given(MARKS, STREAMS)
def test_single_bytes_give_what_a_naive_parser_reads(mark: bytes, stream: bytes) -> None:
    whole = mark + stream
    events = feed_all([whole[place : place + 1] for place in range(len(whole))])
    assert [(event.data, event.name) for event in events] == reference(whole)


@given(MARKS, STREAMS)
def test_what_is_forwarded_reads_as_the_same_events_and_holds_no_other_field(mark: bytes, stream: bytes) -> None:
    events = feed_all([mark + stream])
    forwarded = b"".join(event.raw for event in events)
    assert reference(forwarded) == [(event.data, event.name) for event in events]
    for line in LINE_END.split(forwarded):
        assert line.partition(b":")[0] in {b"", b"data", b"event"}
        assert not line.startswith(b":")


def test_openrouter_stream_loses_its_comments_and_nothing_else() -> None:
    parser = EventParser()
    events = parser.feed(OPENROUTER_STREAM)
    assert b"".join(event.raw for event in events) == OPENROUTER_STREAM.replace(b": OPENROUTER PROCESSING\n\n", b"")
    assert events[-1].data == b"[DONE]"
    assert parser.finish().unfinished is None


def test_id_and_retry_are_not_forwarded() -> None:
    assert feed_all([b"id: 1\nretry: 10\ndata: x\n\n"]) == [Event(b"data: x\n\n", b"x")]


def test_empty_payloads_are_dropped() -> None:
    assert feed_all([b"data:\n\ndata: \n\nevent: ping\n\n: hello\n\ndata:  \n\n"]) == []


def test_payload_of_several_lines_is_joined_and_forwarded_as_it_came() -> None:
    stream = b"event: error\r\ndata: {\r\ndata: }\r\n\r\n"
    assert feed_all([stream]) == [Event(stream, b"{\n}", "error")]


def test_comment_inside_an_event_is_taken_out() -> None:
    assert feed_all([b": ping\ndata: x\n: ping\n\n"]) == [Event(b"data: x\n\n", b"x")]


def test_split_crlf_does_not_end_an_event_early() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r") == []
    assert parser.feed(b"\ndata: b\r\n\r") == []
    assert parser.feed(b"\n") == [Event(b"data: a\r\ndata: b\r\n\r\n", b"a\nb")]


def test_carriage_returns_alone_end_lines_and_the_end_of_the_stream_releases_the_last() -> None:
    parser = EventParser()
    assert parser.feed(b"data: a\r\r") == []
    assert parser.feed(b"data: b\r\r") == [Event(b"data: a\r\r", b"a")]
    assert parser.finish().events == [Event(b"data: b\r\r", b"b")]


def test_byte_order_mark_is_skipped_even_when_split() -> None:
    parser = EventParser()
    assert parser.feed(b"\xef") == []
    assert parser.feed(b"\xbb") == []
    assert parser.feed(b"\xbfdata: x\n\n") == [Event(b"data: x\n\n", b"x")]


def test_byte_order_mark_later_in_the_stream_is_not_skipped() -> None:
    assert feed_all([b"data: x\n\n\xef\xbb\xbfdata: y\n\n"]) == [Event(b"data: x\n\n", b"x")]


@pytest.mark.parametrize("tail", [b"data: [DONE]", b"data: [DONE]\n", b"data: [DONE]\r\n"])
def test_done_without_its_blank_line_is_told_apart(tail: bytes) -> None:
    parser = EventParser()
    parser.feed(b"data: x\n\n" + tail)
    ending = parser.finish()
    assert ending.unfinished is not None
    assert (ending.unfinished.data, ending.unfinished.raw) == (b"[DONE]", tail)


def test_stream_cut_within_an_event_ends_with_it_unfinished() -> None:
    parser = EventParser()
    assert parser.feed(b'data: {"id":') == []
    unfinished = parser.finish().unfinished
    assert unfinished is not None
    assert unfinished.data == b'{"id":'


def test_stream_cut_within_a_comment_leaves_nothing() -> None:
    parser = EventParser()
    parser.feed(b": OPENROUTER PROC")
    assert parser.finish() == ([], None)


def test_largest_event_passes_and_one_byte_more_is_refused() -> None:
    largest = b"data: " + b"x" * (MAX_EVENT_BYTES - 8) + b"\n\n"
    assert len(EventParser().feed(largest)) == 1
    with pytest.raises(EventTooLarge):
        EventParser().feed(b"data: x" + largest[6:])


def test_event_that_never_ends_is_refused_before_it_fills_the_memory() -> None:
    parser = EventParser()
    with pytest.raises(EventTooLarge):
        for _ in range(1 + MAX_EVENT_BYTES // 4096):
            parser.feed(b"x" * 4096)


def test_comments_that_never_end_are_refused_too() -> None:
    parser = EventParser()
    with pytest.raises(EventTooLarge):
        for _ in range(1 + MAX_EVENT_BYTES // 65_536):
            parser.feed(b": ping\n" * 9_400)


def test_many_events_of_more_than_the_limit_together_pass() -> None:
    event = b"data: " + b"x" * 1000 + b"\n\n"
    assert len(EventParser().feed(event * 3000)) == 3000
