"""A wire before a store: passes requests on, writes each one down, and breaks when a test says so."""

import asyncio
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


@dataclass(frozen=True, slots=True)
class Fault:
    """How the wire breaks: before the store it may wait, refuse or answer a status; after it, drop the answer."""

    delay_s: float = 0.0
    status: int | None = None
    refuses: bool = False
    drops_answer: bool = False
    answer_delay_s: float = 0.0
    matches: Callable[[Exchange], bool] = lambda _: True


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
        fault = self._take_fault(exchange)
        try:
            await asyncio.sleep(fault.delay_s)
            if fault.refuses:
                return _hang_up(request)
            if fault.status is not None:
                exchange.status = fault.status
                return web.Response(status=fault.status, text="broken wire")
            return await self._ask_store(request, session, exchange, fault)
        finally:
            exchange.ended_at = exchange.ended_at or time.time()

    async def _ask_store(
        self, request: web.BaseRequest, session: aiohttp.ClientSession, exchange: Exchange, fault: Fault
    ) -> web.StreamResponse:
        url = self._target + exchange.path
        headers = _passed(request.headers.items())
        async with session.request(request.method, url, headers=headers, data=exchange.body or None) as answer:
            exchange.status = answer.status
            if fault.drops_answer:
                await answer.read()
                return _hang_up(request)
            await asyncio.sleep(fault.answer_delay_s)
            returned = _passed(answer.headers.items())
            if answer.content_length is not None:
                return web.Response(status=answer.status, headers=returned, body=await answer.read())
            response = web.StreamResponse(status=answer.status, headers=returned)
            await response.prepare(request)
            async for chunk in answer.content.iter_any():
                await response.write(chunk)
            # Before the last byte: whoever has the whole answer may look at the exchange.
            exchange.ended_at = time.time()
            await response.write_eof()
            return response

    def _take_fault(self, exchange: Exchange) -> Fault:
        fault = self._fault
        if fault is None or self._faults_left == 0 or not fault.matches(exchange):
            return Fault()
        if self._faults_left is not None:
            self._faults_left -= 1
        return fault


def _hang_up(request: web.BaseRequest) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


def _passed(headers: Iterable[tuple[str, str]]) -> CIMultiDict[str]:
    pairs = [(name, value) for name, value in headers if name.lower() not in NOT_PASSED]
    return CIMultiDict(pairs)
