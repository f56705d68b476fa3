import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.clients.redis import Redis, RedisUnavailable, Rider, Script

SCRIPT = Script.from_text("return 1")
RIDING = Script.from_text("return 2")


class ScriptedRedis:
    """Answers what the test says, in order, and keeps what it was sent."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.paths: list[str] = []
        self.authorization: str | None = None
        self.answers: list[Callable[[], web.Response]] = []
        self.delay_s = 0.0

    def will_answer(self, body: object, status: int = 200) -> None:
        self.answers.append(lambda: web.json_response(body, status=status))

    async def serve(self, request: web.Request) -> web.Response:
        self.sent.append(json.loads(await request.read()))
        self.paths.append(request.path)
        self.authorization = request.headers.get("Authorization")
        await asyncio.sleep(self.delay_s)
        return self.answers.pop(0)()


@pytest.fixture
def server() -> ScriptedRedis:
    return ScriptedRedis()


@pytest.fixture
async def redis(server: ScriptedRedis) -> AsyncIterator[Redis]:
    app = web.Application()
    app.router.add_post("/", server.serve)
    app.router.add_post("/pipeline", server.serve)
    async with TestServer(app, host="127.0.0.1") as running, aiohttp.ClientSession() as session:
        yield Redis(session, url=str(running.make_url("/")), token="the-token")


async def test_a_command_is_one_post_of_its_words(redis: Redis, server: ScriptedRedis) -> None:
    server.will_answer({"result": "OK"})
    assert await redis.command("SET", "name", 7) == "OK"
    assert server.sent == [["SET", "name", "7"]]
    assert server.authorization == "Bearer the-token"


async def test_a_script_is_named_by_its_hash(redis: Redis, server: ScriptedRedis) -> None:
    server.will_answer({"result": None})
    assert await redis.run_script(SCRIPT, keys=("a", "b"), arguments=(1, "x")) is None
    assert server.sent == [["EVALSHA", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db", "2", "a", "b", "1", "x"]]


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, "NOSCRIPT No matching script. Please use EVAL."),
        (500, "Failed to execute Redis command: NOSCRIPT No matching script. Please use EVAL."),
    ],
)
async def test_a_script_that_redis_has_forgotten_is_sent_once_by_its_text(
    redis: Redis, server: ScriptedRedis, status: int, error: str
) -> None:
    server.will_answer({"error": error}, status=status)
    server.will_answer({"result": 1})
    assert await redis.run_script(SCRIPT, keys=("a",), arguments=()) == 1
    assert server.sent[1] == ["EVAL", "return 1", "1", "a"]


async def test_a_script_that_stays_missing_is_not_sent_for_ever(redis: Redis, server: ScriptedRedis) -> None:
    for _ in range(2):
        server.will_answer({"error": "NOSCRIPT"}, status=400)
    with pytest.raises(RedisUnavailable, match="NOSCRIPT"):
        await redis.run_script(SCRIPT, keys=(), arguments=())
    assert len(server.sent) == 2


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, {"error": "ERR syntax error"}),
        (401, {"error": "WRONGPASS invalid token"}),
        (500, {"error": "Failed to execute Redis command: connection lost"}),
        (503, {}),
        (503, {"result": "OK"}),
        (200, {}),
        (200, []),
        (200, "text"),
        (302, {"result": "OK"}),
    ],
)
async def test_anything_but_a_result_is_unavailable(
    redis: Redis, server: ScriptedRedis, status: int, body: object
) -> None:
    server.will_answer(body, status=status)
    with pytest.raises(RedisUnavailable):
        await redis.command("PING")


def riding(taken: list[object]) -> Rider:
    return Rider(RIDING, ("r",), (7,), taken.append)


async def run_with(redis: Redis, taken: list[object]) -> object:
    return await redis.run_script(SCRIPT, keys=("a",), arguments=(1,), rider=riding(taken))


async def test_a_rider_goes_along_in_the_same_call(redis: Redis, server: ScriptedRedis) -> None:
    taken: list[object] = []
    for _ in range(2):
        server.will_answer([{"result": 1}, {"result": ["x"]}])
        assert await run_with(redis, taken) == 1
    assert server.paths == ["/pipeline", "/pipeline"]
    assert taken == [["x"], ["x"]]
    own = ["EVALSHA", SCRIPT.sha1, "1", "a", "1"]
    assert server.sent == [
        [own, ["EVAL", RIDING.text, "1", "r", "7"]],
        [own, ["EVALSHA", RIDING.sha1, "1", "r", "7"]],
    ]


@pytest.mark.parametrize("answer", [[{"result": 1}, {"error": "NOSCRIPT"}], [{"result": 1}], {"error": "ERR"}])
async def test_a_rider_that_gets_no_answer_hears_so_once(redis: Redis, server: ScriptedRedis, answer: object) -> None:
    taken: list[object] = []
    missed: list[str] = []
    rider = Rider(RIDING, ("r",), (7,), taken.append, lambda: missed.append("missed"))
    server.will_answer(answer)
    with contextlib.suppress(RedisUnavailable):
        await redis.run_script(SCRIPT, keys=("a",), arguments=(1,), rider=rider)
    assert (taken, missed) == ([], ["missed"])


async def test_a_rider_that_redis_has_forgotten_costs_no_second_call(redis: Redis, server: ScriptedRedis) -> None:
    taken: list[object] = []
    for ridden in ({"result": 1}, {"error": "NOSCRIPT No matching script."}, {"result": 3}):
        server.will_answer([{"result": 1}, ridden])
        assert await run_with(redis, taken) == 1
    assert taken == [1, 3]
    assert [call[1][0] for call in server.sent] == ["EVAL", "EVALSHA", "EVAL"]


async def test_a_script_that_redis_has_forgotten_is_sent_again_without_its_rider(
    redis: Redis, server: ScriptedRedis
) -> None:
    taken: list[object] = []
    server.will_answer([{"error": "NOSCRIPT No matching script."}, {"result": 2}], status=400)
    server.will_answer({"result": 1})
    assert await run_with(redis, taken) == 1
    assert (server.sent[1], taken) == (["EVAL", SCRIPT.text, "1", "a", "1"], [2])


async def test_a_rider_s_fault_is_logged_and_not_the_script_s(
    redis: Redis, server: ScriptedRedis, capsys: pytest.CaptureFixture[str]
) -> None:
    taken: list[object] = []
    server.will_answer([{"result": 1}, {"error": "ERR of the rider"}])
    assert await run_with(redis, taken) == 1
    assert taken == []
    assert json.loads(capsys.readouterr().out)["event"] == "redis_rider_failed"


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, [{"result": 1}]),
        (200, [{"result": 1}, {}]),
        (200, [{"result": 1}, {"result": 2}, {"result": 3}]),
        (200, {"result": 1}),
        (200, [1, 2]),
        (401, {"error": "Unauthorized"}),
        (500, [{"result": 1}, {"result": 2}]),
        (200, [{"error": "ERR of the script"}, {"result": 2}]),
    ],
)
async def test_a_pipeline_that_answers_anything_else_is_unavailable(
    redis: Redis, server: ScriptedRedis, status: int, body: object
) -> None:
    server.will_answer(body, status=status)
    with pytest.raises(RedisUnavailable):
        await run_with(redis, [])


async def test_an_answer_that_is_no_json_is_unavailable(redis: Redis, server: ScriptedRedis) -> None:
    server.answers.append(lambda: web.Response(text="<html>gateway</html>", status=502))
    with pytest.raises(RedisUnavailable, match="502"):
        await redis.command("PING")


async def test_a_slow_answer_is_given_up_at_the_deadline(redis: Redis, server: ScriptedRedis) -> None:
    server.delay_s = 5
    server.will_answer({"result": "OK"})
    started_s = time.monotonic()
    with pytest.raises(RedisUnavailable, match="within"):
        await redis.command("PING")
    assert time.monotonic() - started_s < 1


async def test_the_deadline_covers_both_tries_of_a_script(redis: Redis, server: ScriptedRedis) -> None:
    server.delay_s = 0.15
    server.will_answer({"error": "NOSCRIPT"}, status=400)
    server.will_answer({"result": 1})
    with pytest.raises(RedisUnavailable):
        await redis.run_script(SCRIPT, keys=(), arguments=())


async def test_nobody_listening_is_unavailable(unused_tcp_port: int) -> None:
    async with aiohttp.ClientSession() as session:
        redis = Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token="t")
        with pytest.raises(RedisUnavailable, match="not reachable"):
            await redis.command("PING")


async def test_a_connection_closed_while_it_was_idle_is_opened_again() -> None:
    connections = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        if connections > 1:
            body = b'{"result":"PONG"}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body))
            await writer.drain()
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listener, aiohttp.ClientSession() as session:
        port = listener.sockets[0].getsockname()[1]
        redis = Redis(session, url=f"http://127.0.0.1:{port}", token="t")
        assert await redis.command("PING") == "PONG"
    assert connections == 2
