"""Writing an answer to the wire, with the faults that its script asks for."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice

from aiohttp import web

from infra.local.simulator.answers import (
    FINISH_ERROR,
    Answer,
    completion,
    error_chunk,
    last_chunks,
    token_chunks,
)
from infra.local.simulator.log import Served
from infra.local.simulator.script import MAX_WAIT_MS, Cut, Hang, Script

COMMENT = b": OPENROUTER PROCESSING"
GARBAGE_LINE = b'data: {"choices":[{"delta":\xff\xfe <html>secret-provider-detail</html>'
GARBAGE_BODY = b"\xff\xfe<html>secret-provider-detail</html>"
# A stream without pauses lets other requests run this often.
TOKENS_BETWEEN_YIELDS = 64


@dataclass(slots=True)
class EventWriter:
    """Frames events as the script asks and writes them, whole or in pieces.

    raises  ConnectionResetError from every method when the client has left
    """

    response: web.StreamResponse
    script: Script
    _unsent: bytearray = field(default_factory=bytearray)
    _was_padded: bool = False

    async def comment(self) -> None:
        """Write the comments that stand before an event."""
        for _ in range(self.script.comments):
            await self.frame(COMMENT)

    async def event(self, payload: str) -> None:
        """Write one event of JSON."""
        if self.script.event_bytes and not self._was_padded:
            self._was_padded = True
            padding = "x" * max(0, self.script.event_bytes - len(payload.encode()) - len(',"padding":""'))
            payload = f'{payload[:-1]},"padding":"{padding}"}}'
        if self.script.multiline:
            # After a comma between two members a line break is white space, so the joined lines are the same JSON.
            first, _, rest = payload.partition(",")
            payload = f"{first},\ndata: {rest}"
        await self.frame(b"data: " + payload.encode())

    async def frame(self, lines: bytes) -> None:
        """Write lines and the blank line that ends them."""
        frame = lines + b"\n\n"
        if self.script.crlf:
            frame = frame.replace(b"\n", b"\r\n")
        await self.raw(frame)

    async def raw(self, data: bytes) -> None:
        """Write bytes, in pieces of the script's size where it has one; what does not fill a piece waits."""
        if not self.script.split:
            await self.response.write(data)
            return
        self._unsent += data
        while len(self._unsent) >= self.script.split:
            await self._piece(self.script.split)

    async def flush(self) -> None:
        """Write what waits for its piece to fill."""
        if self._unsent:
            await self._piece(len(self._unsent))

    async def _piece(self, size_bytes: int) -> None:
        piece = bytes(self._unsent[:size_bytes])
        del self._unsent[:size_bytes]
        await self.response.write(piece)
        # The reader gets a chance to see the piece alone.
        await asyncio.sleep(0)


async def write_stream(request: web.Request, answer: Answer, served: Served) -> web.StreamResponse:
    """Stream an answer; the record is closed before the last bytes leave, so that whoever has them finds the bill.

    raises  ConnectionResetError, CancelledError when the client leaves
    """
    script = answer.script
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", **_naming(served)}
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    writer = EventWriter(response, script)
    await writer.comment()
    await pause(script.headers_then_wait_ms)
    chunks = token_chunks(answer)
    if script.has_mid_stream_fault:
        await _write_tokens(writer, islice(chunks, script.at), served)
        await writer.flush()
        if await _break_stream(request, writer, answer, served):
            return response
    await _write_tokens(writer, chunks, served)
    served.end(answer.finish_reason, is_finished=True)
    await _write_end(writer, last_chunks(answer, served))
    return response


async def write_completion(request: web.Request, answer: Answer, served: Served) -> web.StreamResponse:
    """Answer in one piece of JSON; a mid-stream fault strikes in the middle of the body.

    raises  ConnectionResetError, CancelledError when the client leaves
    """
    script = answer.script
    served.tokens_sent = len(answer.tokens) * answer.asked.n
    finish_reason = FINISH_ERROR if script.error_event else answer.finish_reason
    return await write_whole(request, completion(answer, served).encode(), script, served, finish_reason)


async def write_whole(
    request: web.Request, whole: bytes, script: Script, served: Served, finish_reason: str | None = None
) -> web.StreamResponse:
    """Answer with JSON that is ready, with the faults that its script asks for.

    raises  ConnectionResetError, CancelledError when the client leaves
    """
    body = GARBAGE_BODY if script.garbage else whole
    is_broken = script.hang is Hang.MID_STREAM or script.cut in {Cut.MID_STREAM, Cut.CLEAN}
    if not (is_broken or script.split or script.headers_then_wait_ms):
        served.end(finish_reason, is_finished=True)
        return web.Response(body=body, content_type="application/json", headers=_naming(served))
    response = web.StreamResponse(headers={"Content-Type": "application/json", **_naming(served)})
    await response.prepare(request)
    await pause(script.headers_then_wait_ms)
    writer = EventWriter(response, script)
    await writer.raw(body[: len(body) // 2] if is_broken else body)
    if is_broken:
        await writer.flush()
        await _stop(request, script, served)
        return response
    served.end(finish_reason, is_finished=True)
    await writer.flush()
    return response


async def finish_unheard(answer: Answer, served: Served) -> None:
    """Go on to the end of an answer whose client has left, as a provider does that cannot cancel, and bill it."""
    total = len(answer.tokens) * answer.asked.n
    if answer.asked.is_streamed:
        await pause(min((total - served.tokens_sent) * answer.script.pace_ms, MAX_WAIT_MS))
    served.tokens_sent = total
    served.end(answer.finish_reason, is_finished=True, client_left=True)


async def pause(duration_ms: int) -> None:
    """Wait, unless there is nothing to wait for."""
    if duration_ms:
        await asyncio.sleep(duration_ms / 1000)


def close_connection(request: web.Request, served: Served) -> None:
    """Close the connection under the answer: no status, or no final chunk."""
    served.end()
    if request.transport is not None:
        request.transport.close()


def _naming(served: Served) -> dict[str, str]:
    """Return the header by which OpenRouter names every answer before its first byte.

    source  https://openrouter.ai/docs/api-reference/overview
    """
    return {"X-Generation-Id": served.id} if served.provider == "openrouter" else {}


async def _write_tokens(writer: EventWriter, chunks: Iterable[str], served: Served) -> None:
    script = writer.script
    for chunk in chunks:
        if served.tokens_sent:
            if script.pace_ms:
                await pause(script.pace_ms)
            elif served.tokens_sent % TOKENS_BETWEEN_YIELDS == 0:
                await asyncio.sleep(0)
            if script.comments:
                await writer.comment()
        if script.is_plain:
            await writer.response.write(f"data: {chunk}\n\n".encode())
        else:
            await writer.event(chunk)
        served.tokens_sent += 1


async def _write_end(writer: EventWriter, chunks: Iterator[str]) -> None:
    for chunk in chunks:
        await writer.comment()
        await writer.event(chunk)
    if not writer.script.no_done:
        await writer.frame(b"data: [DONE]")
    await writer.flush()


async def _break_stream(request: web.Request, writer: EventWriter, answer: Answer, served: Served) -> bool:
    """Do what goes wrong mid-stream; return whether the stream is over."""
    script = answer.script
    if script.garbage:
        await writer.frame(GARBAGE_LINE)
    if script.error_event:
        served.end(FINISH_ERROR)
        await writer.event(error_chunk(answer))
        await writer.flush()
        return True
    if script.hang is Hang.MID_STREAM or script.cut in {Cut.MID_STREAM, Cut.CLEAN}:
        await writer.flush()
        await _stop(request, script, served)
        return True
    return False


async def _stop(request: web.Request, script: Script, served: Served) -> None:
    if script.hang is Hang.MID_STREAM:
        await pause(MAX_WAIT_MS)
    if script.cut is Cut.CLEAN:
        served.end()
        return
    close_connection(request, served)


def json_response(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    """Answer with JSON."""
    payload = json.dumps(body, separators=(",", ":")).encode()
    return web.Response(status=status, body=payload, content_type="application/json", headers=headers)
