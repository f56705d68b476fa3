"""An answer that is a stream of events: plain ASGI, so that bytes leave as they come and a hang-up is seen."""

import asyncio
import json
from collections.abc import Awaitable, Callable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.core.errors import GatewayError, envelope
from shared.core.ids import RequestId
from shared.core.log import describe_bug, log_event
from shared.web.context import context_of
from shared.web.errors import internal_error

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    # Nginx and its kin hold a stream back without it.
    (b"x-accel-buffering", b"no"),
]


class EventSink:
    """Where a flow writes its stream; the headers leave with the first write."""

    def __init__(self, send: Send, request_id: RequestId, answer_headers: dict[str, str]) -> None:
        self.request_id = request_id
        self.answer_headers = answer_headers
        self.is_started = False
        self.is_gone = False
        self._send = send

    def mark_gone(self) -> None:
        """Note that the client has hung up."""
        self.is_gone = True

    async def write(self, data: bytes) -> None:
        """Send bytes, waiting while the client is slow; dropped when it is gone."""
        if self.is_gone:
            return
        if not self.is_started:
            self.is_started = True
            await self._send({"type": "http.response.start", "status": 200, "headers": list(_HEADERS)})
        await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def close(self) -> None:
        """Send the end of the body."""
        if self.is_started and not self.is_gone:
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})


class EventStream(Response):
    """The response whose body `produce` writes; a refusal before the first byte is an ordinary error answer.

    error_event: how a client is told of a bug in the middle, if not as OpenAI does
    """

    def __init__(
        self,
        produce: Callable[[EventSink], Awaitable[None]],
        error_event: Callable[[GatewayError, RequestId], bytes] | None = None,
    ) -> None:
        self._produce = produce
        self._error_event = error_event or _event
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the flow against this connection."""
        context = context_of(scope)
        sink = EventSink(send, context.request_id, context.answer_headers)
        watch = asyncio.ensure_future(_wait_for_hang_up(receive, sink))
        try:
            await self._produce(sink)
        except Exception as bug:
            if not sink.is_started:
                raise
            log_event("stream_crashed", level="error", error=describe_bug(bug))
            await sink.write(self._error_event(internal_error(), context.request_id))
        finally:
            watch.cancel()
        await sink.close()


async def _wait_for_hang_up(receive: Receive, sink: EventSink) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    sink.mark_gone()


def _event(error: GatewayError, request_id: RequestId) -> bytes:
    return b"data: " + json.dumps(envelope(error, request_id)).encode() + b"\n\n"
