"""A wire before a store: passes requests on, writes each one down, and breaks when a test says so."""

import asyncio
import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web
from multidict import CIMultiDict

from tests.harness.threaded_proxy import ThreadedProxy

NOT_PASSED = frozenset({"connection", "content-length", "host", "keep-alive", "transfer-encoding", "date", "server"})


@dataclass(slots=True)
class Exchange:
    """One request as the wire saw it; times are seconds since the epoch, ended_at None while it runs."""

    method: str
    path: str
    body: bytes = field(repr=False)
    started_at: float = field(default_factory=time.time)
    ended_at: float | None = None
    status: int | None = None

    @property
    def redis_words(self) -> list[str]:
        """The command that a call to Redis is for; what goes along with it in a pipeline comes after."""
        content = json.loads(self.body)
        return [str(word) for word in (content[0] if self.path.endswith("/pipeline") else content)]


@dataclass(frozen=True, slots=True)
class Fault:
    """How the wire breaks: before the store it may wait, refuse or answer a status; after it, drop the answer.

    drops_at: the answer is passed on up to the piece that holds these bytes and breaks off there; b"" is in front of
    its headers, and bytes that never come are its end. patience_s: after so long the wire hangs up on both sides;
    silence_limit_s: after so long without a byte of the answer.
    on_match is called at the moment of the break, before the other side can see it, in the wire's own thread.
    """

    delay_s: float = 0.0
    status: int | None = None
    refuses: bool = False
    drops_answer: bool = False
    drops_at: bytes | None = None
    patience_s: float | None = None
    silence_limit_s: float | None = None
    answer_delay_s: float = 0.0
    matches: Callable[[Exchange], bool] = lambda _: True
    on_match: Callable[[], None] = lambda: None


class Wire(ThreadedProxy):
    """One wire; it breaks only within broken()."""

    def __init__(self, target: str) -> None:
        super().__init__("wire")
        self._target = target.rstrip("/")
        self._exchanges: list[Exchange] = []
        self._fault: Fault | None = None
        self._faults_left: int | None = None

    def exchanges(self, path_part: str = "") -> list[Exchange]:
        """Return what passed so far, oldest first."""
        return [exchange for exchange in list(self._exchanges) if path_part in exchange.path]

    def forget(self) -> None:
        """Start to count anew."""
        self._exchanges.clear()

    @contextmanager
    def broken(self, fault: Fault, times: int | None = None) -> Iterator[None]:
        """Break the wire within the block, for every matching request or for the first so many."""
        self._fault, self._faults_left = fault, times
        try:
            yield
        finally:
            self._fault = None

    async def answer(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        """Write the request down and pass it on, unless the wire is broken for it."""
        exchange = Exchange(request.method, request.raw_path, await request.read())
        self._exchanges.append(exchange)
        fault = self.take_fault(exchange)
        try:
            await asyncio.sleep(fault.delay_s)
            if fault.refuses:
                return _hang_up(request, fault)
            if fault.status is not None:
                fault.on_match()
                exchange.status = fault.status
                return web.Response(status=fault.status, text="broken wire")
            try:
                async with asyncio.timeout(fault.patience_s):
                    return await self._ask_store(request, session, exchange, fault)
            except TimeoutError:
                return _hang_up(request, fault)
        finally:
            exchange.ended_at = exchange.ended_at or time.time()

    async def _ask_store(
        self, request: web.BaseRequest, session: aiohttp.ClientSession, exchange: Exchange, fault: Fault
    ) -> web.StreamResponse:
        url = self._target + exchange.path
        headers = _passed(request.headers.items())
        body, patience = exchange.body or None, aiohttp.ClientTimeout(total=None, sock_read=fault.silence_limit_s)
        async with session.request(request.method, url, headers=headers, data=body, timeout=patience) as answer:
            exchange.status = answer.status
            if fault.drops_answer:
                await answer.read()
            if fault.drops_answer or fault.drops_at == b"":
                return _hang_up(request, fault)
            await asyncio.sleep(fault.answer_delay_s)
            returned = _passed(answer.headers.items())
            if answer.content_length is not None and fault.drops_at is None:
                return web.Response(status=answer.status, headers=returned, body=await answer.read())
            response = web.StreamResponse(status=answer.status, headers=returned)
            await response.prepare(request)
            if await _pass_on(answer, response, fault.drops_at):
                return _hang_up(request, fault)
            # Before the last byte: whoever has the whole answer may look at the exchange.
            exchange.ended_at = time.time()
            await response.write_eof()
            return response

    def take_fault(self, exchange: Exchange) -> Fault:
        """Return how the wire breaks for this request."""
        fault = self._fault
        if fault is None or self._faults_left == 0 or not fault.matches(exchange):
            return Fault()
        if self._faults_left is not None:
            self._faults_left -= 1
        return fault


async def _pass_on(answer: aiohttp.ClientResponse, response: web.StreamResponse, drops_at: bytes | None) -> bool:
    """Pass the body on as it comes; return whether it is to break off, which it does in front of these bytes."""
    seen = b""
    async for chunk in answer.content.iter_any():
        if drops_at is not None:
            seen += chunk
            if drops_at in seen:
                return True
        await response.write(chunk)
    return drops_at is not None


def _hang_up(request: web.BaseRequest, fault: Fault) -> web.StreamResponse:
    fault.on_match()
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _passed(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    pairs = [(name, value) for name, value in headers if name.lower() not in NOT_PASSED]
    return CIMultiDict(pairs)
