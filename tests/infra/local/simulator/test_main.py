"""The simulator as its own process."""

import asyncio
import sys
import time
from pathlib import Path

import aiohttp
import pytest

ROOT = Path(__file__).parents[4]


async def start(*arguments: str) -> tuple[asyncio.subprocess.Process, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "infra.local.simulator", *arguments, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    line = await asyncio.wait_for(process.stdout.readline(), 20)
    return process, line.decode().split()[-1]


@pytest.mark.parametrize("script", ["hang=before_headers", "tokens=10000,pace_ms=50"])
async def test_sigterm_ends_it_at_once_even_while_it_answers(script: str) -> None:
    process, url = await start()
    async with aiohttp.ClientSession() as session:
        body = {"model": f"sim/{script}", "messages": [{"role": "user", "content": "hi"}], "stream": True}
        headers = {"Authorization": "Bearer k"}
        url_chat = f"{url}/chutes/v1/chat/completions"
        pending = asyncio.create_task(_read(session, url_chat, body, headers))
        async with session.get(f"{url}/_sim/health") as response:
            assert response.status == 200
        await asyncio.sleep(0.2)
        started = time.monotonic()
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 5) == 0
        assert time.monotonic() - started < 1
        with pytest.raises(aiohttp.ClientError):
            await pending


async def test_a_taken_port_is_refused() -> None:
    first, url = await start()
    second = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "infra.local.simulator",
        "--port",
        url.rpartition(":")[2],
        cwd=ROOT,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    assert await asyncio.wait_for(second.wait(), 20) != 0
    first.terminate()
    await first.wait()


async def _read(session: aiohttp.ClientSession, url: str, body: dict[str, object], headers: dict[str, str]) -> None:
    async with session.post(url, json=body, headers=headers) as response:
        await response.read()
