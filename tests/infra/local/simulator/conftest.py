"""A simulator in this process and a client that speaks to it over HTTP."""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import pytest

from infra.local.simulator.app import HOST, start_simulator

HEADERS = {"Authorization": "Bearer sk-sim", "x-portkey-api-key": "pk-sim"}
MESSAGES = [{"role": "user", "content": "hello"}]


@dataclass(frozen=True, slots=True)
class Sim:
    session: aiohttp.ClientSession
    url: str

    async def post(
        self, body: dict[str, Any], *, provider: str = "openrouter", headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        async with self.ask(body, provider=provider, headers=headers) as response:
            return response.status, await response.json()

    def ask(self, body: dict[str, Any], *, provider: str = "openrouter", headers: dict[str, str] | None = None) -> Any:
        request = {"model": "sim/echo", "messages": MESSAGES, **body}
        url = f"{self.url}/{provider}/v1/chat/completions"
        return self.session.post(url, json=request, headers=HEADERS | (headers or {}))

    async def stream(self, body: dict[str, Any], **kwargs: Any) -> bytes:
        async with self.ask({"stream": True, **body}, **kwargs) as response:
            assert response.status == 200, await response.text()
            return bytes(await response.read())

    async def events(self, body: dict[str, Any], **kwargs: Any) -> list[Any]:
        return parse_events(await self.stream(body, **kwargs))

    async def get(self, path: str) -> Any:
        async with self.session.get(self.url + path, headers=HEADERS) as response:
            return await response.json()

    async def control(self, path: str, body: dict[str, Any] | None = None) -> Any:
        async with self.session.post(self.url + path, json=body or {}) as response:
            return await response.json()

    async def last(self) -> dict[str, Any]:
        records: list[dict[str, Any]] = (await self.get("/_sim/requests"))["data"]
        return records[-1]


def parse_events(raw: bytes) -> list[Any]:
    """Read a stream's events as the standard has it; `[DONE]` stays a string."""
    events: list[Any] = []
    for block in raw.decode().replace("\r\n", "\n").split("\n\n"):
        lines = [line.removeprefix("data:").removeprefix(" ") for line in block.split("\n") if line.startswith("data:")]
        if lines:
            data = "\n".join(lines)
            events.append(data if data == "[DONE]" else json.loads(data))
    return events


def text_of(events: list[Any], *, choice: int = 0) -> str:
    """Join the content of one choice."""
    return "".join(
        part["delta"].get("content") or ""
        for event in events
        if isinstance(event, dict)
        for part in event["choices"]
        if part["index"] == choice
    )


@pytest.fixture
async def sim() -> AsyncIterator[Sim]:
    runner, port = await start_simulator()
    timeout = aiohttp.ClientTimeout(total=20)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(limit=0)) as session:
        yield Sim(session, f"http://{HOST}:{port}")
    await runner.cleanup()
