"""What stands before the functions on Vercel: it routes, limits, and says itself where a request comes from."""

import asyncio
import io
import itertools
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from infra.local.ports import LOOPBACK
from infra.vercel_output import BuiltRoute
from tests.deploy.vercel_function import VercelFunction
from tests.harness.threaded_proxy import ThreadedProxy

# source: https://vercel.com/docs/functions/limitations#request-body-size
BODY_LIMIT_BYTES = 4_500_000
HOP_BY_HOP = frozenset({"connection", "content-length", "keep-alive", "host", "te", "trailer", "transfer-encoding"})
# A client's own are dropped. source: https://vercel.com/docs/headers/request-headers
OURS_TO_SAY = ("x-forwarded-", "x-vercel-", "x-real-ip", "forwarded")
NOT_RETURNED = ("server", "date", "connection", "transfer-encoding", "x-vercel-internal-")


class Edge(ThreadedProxy):
    """The edge of one deployment."""

    def __init__(self, routes: Sequence[BuiltRoute], functions: Mapping[str, VercelFunction]) -> None:
        super().__init__("edge")
        self._routes = routes
        self._functions = functions
        self._numbers = itertools.count(1)

    async def answer(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        """Route the request to its function, as the platform would have it."""
        function = self._function_at(request.raw_path.partition("?")[0])
        if function is None:
            return _own_answer(404, "NOT_FOUND")
        body = await _read_body(request)
        if body is None:
            return _own_answer(413, "FUNCTION_PAYLOAD_TOO_LARGE")
        answer = StreamedAnswer(request)
        try:
            async with asyncio.timeout(function.bundle.time_limit_s):
                await self._ask(function, answer, body, session)
        except TimeoutError:
            return answer.break_off(504, "FUNCTION_INVOCATION_TIMEOUT")
        except aiohttp.ClientError:
            return answer.break_off(500, "FUNCTION_INVOCATION_FAILED")
        return answer.finished()

    async def _ask(
        self, function: VercelFunction, answer: "StreamedAnswer", body: bytes, session: aiohttp.ClientSession
    ) -> None:
        request, number = answer.request, next(self._numbers)
        async with session.request(
            request.method,
            URL(f"http://{LOOPBACK}:{function.port}{request.raw_path}", encoded=True),
            headers=_headers_for(request, number, function.bundle.time_limit_s),
            data=io.BytesIO(body) if body else None,
            allow_redirects=False,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type", "User-Agent"),
        ) as received:
            await answer.pass_on(received)

    def _function_at(self, path: str) -> VercelFunction | None:
        name = next((route.service for route in self._routes if route.pattern.search(path)), None)
        return None if name is None else self._functions[name]


class StreamedAnswer:
    """What is sent to the client, piece by piece as the function gives it."""

    def __init__(self, request: web.BaseRequest) -> None:
        self.request = request
        self._response: web.StreamResponse | None = None

    async def pass_on(self, received: aiohttp.ClientResponse) -> None:
        """Send everything; a client that hangs up is not told of to the function, which is read to its end."""
        headers = _without(received.headers, lambda name: name.startswith(NOT_RETURNED))
        headers["Server"] = "Vercel"
        self._response = web.StreamResponse(status=received.status, headers=headers)
        is_listening = True
        try:
            await self._response.prepare(self.request)
        except ConnectionResetError:
            is_listening = False
        async for piece in received.content.iter_any():
            try:
                if is_listening:
                    await self._response.write(piece)
            except ConnectionResetError:
                is_listening = False

    def finished(self) -> web.StreamResponse:
        """Return what was sent."""
        assert self._response is not None
        return self._response

    def break_off(self, status: int, code: str) -> web.StreamResponse:
        """Say that the function failed, or hang up when its answer has begun."""
        if self._response is None:
            return _own_answer(status, code)
        if self.request.transport is not None:
            self.request.transport.abort()
        return self._response


async def _read_body(request: web.BaseRequest) -> bytes | None:
    """Return the body, or None when it is larger than the platform takes."""
    body = bytearray()
    async for piece in request.content.iter_any():
        body += piece
        if len(body) > BODY_LIMIT_BYTES:
            return None
    return bytes(body)


def _headers_for(request: web.BaseRequest, number: int, time_limit_s: int) -> CIMultiDict[str]:
    headers = _without(request.headers, lambda name: name in HOP_BY_HOP or name.startswith(OURS_TO_SAY))
    host, peer = request.host, request.remote or ""
    headers["Host"] = headers["X-Forwarded-Host"] = host
    headers["X-Forwarded-Proto"] = "https"
    headers["X-Forwarded-For"] = headers["X-Real-IP"] = headers["X-Vercel-Forwarded-For"] = peer
    headers["X-Vercel-Internal-Invocation-Id"] = f"invocation-{number}"
    headers["X-Vercel-Internal-Request-Id"] = str(number)
    headers["X-Vercel-Internal-Span-Id"] = headers["X-Vercel-Internal-Trace-Id"] = str(number)
    headers["X-Vercel-Internal-Deadline"] = (datetime.now(UTC) + timedelta(seconds=time_limit_s)).isoformat()
    return headers


def _without(headers: Mapping[str, str], is_left_out: Callable[[str], bool]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if not is_left_out(name.lower()))


def _own_answer(status: int, code: str) -> web.Response:
    """Answer as the platform does without a function. source: https://vercel.com/docs/errors."""
    return web.Response(status=status, text=f"{code}\n", headers={"X-Vercel-Error": code, "Server": "Vercel"})
