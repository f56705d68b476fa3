"""A proxy on loopback with its own thread and loop, so that it also works while a test blocks."""

import asyncio
import threading
from abc import ABC, abstractmethod
from typing import Self

import aiohttp
from aiohttp import web

from infra.local.ports import LOOPBACK

START_WITHIN_S = 10.0


class ThreadedProxy(ABC):
    """Listens on a free port from open() to close(); what it answers its subclass says."""

    def __init__(self, name: str) -> None:
        self._loop = asyncio.new_event_loop()
        self._is_open = threading.Event()
        self._is_closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name=name)
        self.url = ""

    @abstractmethod
    async def answer(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        """Answer one request; the session is for whoever stands behind."""

    def open(self) -> Self:
        """Start to listen on a free port."""
        self._thread.start()
        assert self._is_open.wait(START_WITHIN_S), f"the {self._thread.name} did not open"
        return self

    def close(self) -> None:
        """Stop listening and end the thread."""
        self._loop.call_soon_threadsafe(self._is_closing.set)
        self._thread.join(START_WITHIN_S)

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        timeout = aiohttp.ClientTimeout(total=None)
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            server = web.Server(lambda request: self.answer(request, session))
            runner = web.ServerRunner(server, shutdown_timeout=0, handle_signals=False)
            await runner.setup()
            await web.TCPSite(runner, LOOPBACK, 0, backlog=1024).start()
            self.url = f"http://{LOOPBACK}:{runner.addresses[0][1]}"
            self._is_open.set()
            await self._is_closing.wait()
            await runner.cleanup()
