import asyncio
import json

import pytest

from shared.core.errors import InvalidRequest
from shared.web.middleware import RequestContext
from shared.web.streaming import EventSink, EventStream
from tests.shared.web.asgi import Connection


async def test_headers_leave_with_the_first_write_and_carry_what_was_gathered_until_then() -> None:
    connection = Connection()

    async def produce(sink: EventSink) -> None:
        sink.answer_headers["X-Provider"] = "early"
        assert connection.sent == []
        await sink.write(b"data: 1\n\n")
        sink.answer_headers["X-Late"] = "late"
        await sink.write(b"data: 2\n\n")

    await connection.call(RequestContext(EventStream(produce)))
    assert connection.status == 200
    assert connection.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert connection.headers["x-provider"] == "early"
    assert "x-late" not in connection.headers
    assert connection.headers["x-request-id"].startswith("req_")
    assert [message["body"] for message in connection.sent[1:]] == [b"data: 1\n\n", b"data: 2\n\n", b""]
    assert connection.is_ended


async def test_a_refusal_before_the_first_byte_is_left_to_be_an_answer() -> None:
    async def produce(_: EventSink) -> None:
        raise InvalidRequest("No.")

    connection = Connection()

    async def call(scope: object, receive: object, send: object) -> None:
        with pytest.raises(InvalidRequest):
            await EventStream(produce)(scope, receive, send)  # type: ignore[arg-type]

    await connection.call(RequestContext(call))
    assert connection.sent == []


async def test_a_bug_after_the_first_byte_ends_the_stream_with_an_error_and_without_details(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def produce(sink: EventSink) -> None:
        await sink.write(b"data: 1\n\n")
        raise ZeroDivisionError("details")

    connection = Connection()
    await connection.call(RequestContext(EventStream(produce)))
    assert connection.is_ended
    error = json.loads(connection.body.split(b"\n\n")[1].removeprefix(b"data: "))["error"]
    assert error["code"] == "internal_error"
    assert error["request_id"] == connection.headers["x-request-id"]
    assert b"details" not in connection.body
    log = capsys.readouterr().out
    assert "stream_crashed" in log
    assert "ZeroDivisionError at " in log
    # What a bug says of itself may quote a prompt.
    assert "details" not in log


async def test_after_a_hang_up_nothing_is_written_and_the_producer_goes_on() -> None:
    connection = Connection()
    has_gone_on = False

    async def produce(sink: EventSink) -> None:
        nonlocal has_gone_on
        await sink.write(b"data: 1\n\n")
        connection.hang_up()
        await asyncio.sleep(0.01)
        assert sink.is_gone
        await sink.write(b"data: 2\n\n")
        has_gone_on = True

    await connection.call(RequestContext(EventStream(produce)))
    assert has_gone_on
    assert connection.body == b"data: 1\n\n"
    assert not connection.is_ended


async def test_a_slow_reader_holds_the_producer_back() -> None:
    connection = Connection()
    written = 0

    async def produce(sink: EventSink) -> None:
        nonlocal written
        for _ in range(3):
            await sink.write(b"data: x\n\n")
            written += 1

    connection.reads.clear()
    request = asyncio.create_task(connection.call(RequestContext(EventStream(produce))))
    await asyncio.sleep(0.01)
    assert written == 0
    connection.reads.set()
    await request
    assert written == 3
    assert connection.is_ended


async def test_a_stream_that_writes_nothing_starts_nothing() -> None:
    async def produce(_: EventSink) -> None:
        return

    connection = Connection()
    await connection.call(RequestContext(EventStream(produce)))
    assert connection.sent == []


async def test_the_watch_for_a_hang_up_ends_with_the_stream() -> None:
    async def produce(sink: EventSink) -> None:
        await sink.write(b"data: 1\n\n")

    before = asyncio.all_tasks()
    await Connection().call(RequestContext(EventStream(produce)))
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
