import asyncio
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.clients.redis_failure import RedisUnavailable
from shared.clients.upstash import UpstashRedis


class ScriptedRedis:
    """Answers one thing, perhaps late, and keeps the headers that came."""

    def __init__(self) -> None:
        self.response: tuple[int, str] = (200, '{"result":"PONG"}')
        self.delay_s = 0.0
        self.headers: dict[str, str] = {}

    async def serve(self, request: web.Request) -> web.Response:
        self.headers = {name.lower(): value for name, value in request.headers.items()}
        await asyncio.sleep(self.delay_s)
        status, text = self.response
        return web.Response(status=status, text=text, content_type="application/json")


@pytest.fixture
def server() -> ScriptedRedis:
    return ScriptedRedis()


@pytest.fixture
async def redis(server: ScriptedRedis) -> AsyncIterator[UpstashRedis]:
    app = web.Application()
    app.router.add_post("/", server.serve)
    async with TestServer(app, host="127.0.0.1") as running:
        client = UpstashRedis(url=str(running.make_url("/")), token="t")
        yield client
        await client.close()


async def test_a_ping_that_is_answered_says_nothing(redis: UpstashRedis) -> None:
    await redis.ping()


async def test_no_telemetry_and_no_encoding_is_sent(redis: UpstashRedis, server: ScriptedRedis) -> None:
    await redis.ping()
    assert not [name for name in server.headers if name.startswith("upstash-telemetry")]
    assert "upstash-encoding" not in server.headers


@pytest.mark.parametrize(
    "response", [(500, '{"error":"connection lost"}'), (401, '{"error":"WRONGPASS"}'), (502, "<html>")]
)
async def test_a_ping_without_a_good_answer_is_unavailable(
    redis: UpstashRedis, server: ScriptedRedis, response: tuple[int, str]
) -> None:
    server.response = response
    with pytest.raises(RedisUnavailable):
        await redis.ping()


async def test_a_ping_is_given_up_at_the_deadline(redis: UpstashRedis, server: ScriptedRedis) -> None:
    server.delay_s = 5
    with pytest.raises(RedisUnavailable):
        await redis.ping()


async def test_a_ping_to_nobody_is_unavailable(unused_tcp_port: int) -> None:
    client = UpstashRedis(url=f"http://127.0.0.1:{unused_tcp_port}", token="t")
    with pytest.raises(RedisUnavailable):
        await client.ping()
    await client.close()
