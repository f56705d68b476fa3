"""The requests that a function is answering, so that it does not close its clients under them when it is stopped."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.types import ASGIApp, Receive, Scope, Send

from shared.core.log import log_event

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

# A server that is told to stop cancels what is under way and goes on at once; a settlement takes up to this long.
STOP_LIMIT_S = 12.0


class RequestsUnderWay:
    """Counts requests, and keeps a lifespan from ending before they have."""

    def __init__(self) -> None:
        self._count = 0
        self._is_idle = asyncio.Event()
        self._is_idle.set()

    def middleware(self, app: ASGIApp) -> ASGIApp:
        """Wrap an application so that its requests count."""

        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            if scope["type"] != "http":
                await app(scope, receive, send)
                return
            self._count += 1
            self._is_idle.clear()
            try:
                await app(scope, receive, send)
            finally:
                self._count -= 1
                if self._count == 0:
                    self._is_idle.set()

        return counted

    def lifespan(self, lifespan: Lifespan) -> Lifespan:
        """Wrap a lifespan so that it closes nothing while a request still needs it.

        policy  after STOP_LIMIT_S it ends all the same, and says so
        """

        @asynccontextmanager
        async def patient(app: FastAPI) -> AsyncIterator[None]:
            async with lifespan(app):
                yield
                try:
                    async with asyncio.timeout(STOP_LIMIT_S):
                        await self._is_idle.wait()
                except TimeoutError:
                    log_event("requests_abandoned", level="error", count=self._count)

        return patient
