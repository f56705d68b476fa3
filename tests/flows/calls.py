"""Chat completions asked as a client asks them, with what came back."""

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.harness.tenants import Tenant, TestModel

PATH = "/v1/chat/completions"
GREETING = "Hello"
WAIT_LIMIT_S = 60.0
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer read to its end; body is its JSON, for a stream that of every event before [DONE]."""

    status: int
    headers: Mapping[str, str]
    body: Any
    duration_s: float
    is_done: bool = False

    @property
    def code(self) -> str:
        """The code of an error."""
        return str(self.body["error"]["code"])


def client(connections: int = 0) -> aiohttp.ClientSession:
    """Open a client; 0 connections is as many as are needed."""
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=connections), timeout=aiohttp.ClientTimeout(total=WAIT_LIMIT_S)
    )


def chat(model: TestModel, **fields: object) -> dict[str, object]:
    """Return a request's body."""
    return {"model": model.id, "messages": [{"role": "user", "content": GREETING}], **fields}


async def ask(session: aiohttp.ClientSession, url: str, tenant: Tenant, body: Mapping[str, object]) -> Answer:
    """Ask once and read the answer, a stream or not."""
    started_s = time.monotonic()
    async with session.post(f"{url}{PATH}", json=body, headers=tenant.headers) as response:
        text = await response.text()
    duration_s = time.monotonic() - started_s
    if response.content_type != "text/event-stream":
        return Answer(response.status, response.headers, json.loads(text), duration_s)
    events = [line.removeprefix("data: ") for line in text.splitlines() if line.startswith("data: ")]
    is_done = events[-1:] == ["[DONE]"]
    chunks = [json.loads(event) for event in (events[:-1] if is_done else events)]
    return Answer(response.status, response.headers, chunks, duration_s, is_done)


async def wait_until(is_so: Callable[[], bool], *, within_s: float = 20.0) -> None:
    """Wait for something that this process is not told of.

    raises  TimeoutError
    """
    async with asyncio.timeout(within_s):
        while True:
            if is_so():
                return
            await asyncio.sleep(POLL_S)


async def ask_at_once(
    session: aiohttp.ClientSession, urls: tuple[str, ...], tenant: Tenant, body: Mapping[str, object], *, count: int
) -> list[Answer]:
    """Ask so many times at once, in turn at each address."""
    return await asyncio.gather(*(ask(session, urls[i % len(urls)], tenant, body) for i in range(count)))
