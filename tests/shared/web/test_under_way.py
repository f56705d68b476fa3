import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import FastAPI
from starlette.types import Receive, Scope, Send

from shared.web import under_way
from shared.web.under_way import RequestsUnderWay
from tests.shared.web.asgi import Connection


class Service:
    """A function whose client is closed by its lifespan, and whose requests wait until they are let go."""

    def __init__(self) -> None:
        self.requests = RequestsUnderWay()
        self.is_closed = False
        self.may_end = asyncio.Event()
        self.app = self.requests.middleware(self._answer)

    @asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        yield
        self.is_closed = True

    async def run(self, until: asyncio.Event) -> None:
        async with self.requests.lifespan(self.lifespan)(FastAPI()):
            await until.wait()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.may_end.wait()
        assert not self.is_closed


async def test_nothing_is_closed_while_a_request_still_needs_it() -> None:
    service, stop = Service(), asyncio.Event()
    running = asyncio.create_task(service.run(stop))
    requests = [asyncio.create_task(Connection().call(service.app)) for _ in range(2)]
    await asyncio.sleep(0.01)
    stop.set()
    await asyncio.sleep(0.01)
    assert not service.is_closed
    service.may_end.set()
    await asyncio.gather(running, *requests)
    assert service.is_closed


async def test_an_idle_function_stops_at_once() -> None:
    service, stop = Service(), asyncio.Event()
    stop.set()
    await service.run(stop)
    assert service.is_closed


async def test_a_request_that_never_ends_is_not_waited_for_forever(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(under_way, "STOP_LIMIT_S", 0.01)
    service, stop = Service(), asyncio.Event()
    request = asyncio.create_task(Connection().call(service.app))
    await asyncio.sleep(0)
    stop.set()
    await service.run(stop)
    assert service.is_closed
    assert "requests_abandoned" in capsys.readouterr().out
    request.cancel()
    await asyncio.wait({request})
