"""The check of every stream itself: it sees what any client reads, and bites."""

import asyncio
import json
from pathlib import Path

import pytest

from infra.server.gateway import Message, Receive, Send
from tests.functions.chat.speakers import EACH, Speaker
from tests.harness.gateways import RunningGateway
from tests.harness.recorded_streams import ENDING, BrokenStream, RecordedStreams
from tests.harness.recording_server import StreamRecorder
from tests.harness.tenants import Models, Tenants
from tests.shared.providers.messages.asking import COST, USAGE, delta, open_stream
from tests.shared.providers.responses.support import chunk, stream_of

HEADERS = [(b"content-type", b"text/event-stream; charset=utf-8")]
CHAT_CHUNK = b"data: " + json.dumps(chunk(content="Hello")).encode() + b"\n\n"
CHAT = CHAT_CHUNK + b": ping\n" + CHAT_CHUNK + b"data: [DONE]\n\n"
RESPONSE = stream_of([chunk(content="Hel"), chunk(content="lo"), chunk("stop")])


def _message() -> bytes:
    stream = open_stream()
    told = stream.take(delta(content="Hel")) + stream.take(delta(content="lo")) + stream.take(delta("stop"))
    return stream.begin() + told + stream.complete(USAGE).with_cost(COST)


MESSAGE = _message()
WHOLE = [("/v1/chat/completions", CHAT), ("/v1/responses", RESPONSE), ("/v1/messages", MESSAGE)]


def without_event(stream: bytes, place: int) -> bytes:
    events = stream.split(b"\n\n")
    del events[place]
    return b"\n\n".join(events)


def send_stream(folder: Path, path: str, *writes: bytes, has_end: bool = True, content: bytes | None = None) -> None:
    """Have an application answer these bytes behind the recorder."""

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        headers = HEADERS if content is None else [(b"content-type", content)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for data in writes:
            await send({"type": "http.response.body", "body": data, "more_body": True})
        if has_end:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        pass

    recorder = StreamRecorder(application, folder / f"gateway{ENDING}")
    asyncio.run(recorder({"type": "http", "path": path}, receive, send))
    recorder.close()


@pytest.mark.parametrize(("path", "stream"), WHOLE)
def test_a_right_stream_passes_in_whatever_pieces_it_leaves(tmp_path: Path, path: str, stream: bytes) -> None:
    events = [event + b"\n\n" for event in stream.split(b"\n\n")[:-1]]
    send_stream(tmp_path, path, *events)
    send_stream(tmp_path, path, stream)
    recorded = RecordedStreams(tmp_path)
    recorded.check()
    recorded.check_unfinished()
    assert recorded.checked == {path: 2}


@pytest.mark.parametrize(
    ("path", "stream"),
    [
        ("/v1/chat/completions", without_event(CHAT, -2)),
        ("/v1/chat/completions", CHAT + CHAT_CHUNK),
        ("/v1/chat/completions", b"id: 7\n" + CHAT),
        ("/v1/responses", without_event(RESPONSE, 0)),
        ("/v1/responses", without_event(RESPONSE, 4)),
        ("/v1/responses", without_event(RESPONSE, -2)),
        ("/v1/messages", without_event(MESSAGE, 0)),
        ("/v1/messages", without_event(MESSAGE, 1)),
        ("/v1/messages", without_event(MESSAGE, -2)),
    ],
)
def test_a_stream_that_breaks_its_grammar_is_found(tmp_path: Path, path: str, stream: bytes) -> None:
    send_stream(tmp_path, path, stream)
    with pytest.raises(BrokenStream, match=path):
        RecordedStreams(tmp_path).check()


def test_each_of_several_broken_streams_is_told_with_the_test_that_it_began_in(tmp_path: Path) -> None:
    recorded = RecordedStreams(tmp_path)
    send_stream(tmp_path, "/v1/messages", MESSAGE[:-9], has_end=False)
    recorded.check("the first")
    send_stream(tmp_path, "/v1/chat/completions", CHAT_CHUNK)
    send_stream(tmp_path, "/v1/responses", RESPONSE)
    send_stream(tmp_path, "/v1/responses", without_event(RESPONSE, 0))
    with pytest.raises(BrokenStream) as broken:
        recorded.check("the second")
    assert [str(broken.value).count(f"{path}, begun in the second") for path, _ in WHOLE] == [1, 1, 0]
    assert recorded.checked == {"/v1/chat/completions": 1, "/v1/responses": 2}
    recorded.check()
    with pytest.raises(BrokenStream, match="/v1/messages, begun in the first"):
        recorded.check_unfinished()


@pytest.mark.parametrize(("path", "stream"), WHOLE)
def test_a_stream_whose_client_left_is_checked_as_far_as_it_came(tmp_path: Path, path: str, stream: bytes) -> None:
    begun = stream[: stream.index(b"\n\n", len(stream) // 2) + 2]
    send_stream(tmp_path, path, begun, has_end=False)
    recorded = RecordedStreams(tmp_path)
    recorded.check()
    assert recorded.checked == {}
    recorded.check_unfinished()
    assert recorded.checked == {path: 1}
    send_stream(tmp_path, path, begun, begun, b"data: nothing\n\n", has_end=False)
    with pytest.raises(BrokenStream):
        recorded.check_unfinished()


def test_what_is_no_stream_is_left_alone_and_an_unknown_stream_is_not(tmp_path: Path) -> None:
    recorded = RecordedStreams(tmp_path)
    send_stream(tmp_path, "/v1/responses", b"{}", content=b"application/json")
    recorded.check_unfinished()
    send_stream(tmp_path, "/v1/unheard/of", CHAT)
    with pytest.raises(BrokenStream, match="no grammar"):
        recorded.check()


def test_a_line_that_a_killed_gateway_left_half_is_waited_for(tmp_path: Path) -> None:
    send_stream(tmp_path, "/v1/messages", MESSAGE)
    path = tmp_path / f"gateway{ENDING}"
    lines = path.read_bytes()
    path.write_bytes(lines[:-9])
    recorded = RecordedStreams(tmp_path)
    recorded.check()
    path.write_bytes(lines)
    recorded.check()
    assert recorded.checked == {"/v1/messages": 1}


@EACH
async def test_a_stream_of_a_gateway_is_checked_although_its_reader_does_not(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, streams: RecordedStreams, *, speaker: Speaker
) -> None:
    streams.check()
    before = streams.checked.get(speaker.path, 0)
    await speaker.ask(gateway, tenant(), make_model("tokens=3"), stream=True)
    streams.check()
    assert streams.checked[speaker.path] == before + 1
