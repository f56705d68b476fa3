import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from fastapi import APIRouter, FastAPI
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from shared.core.errors import GatewayError
from shared.web.access import public
from shared.web.app import create_app
from shared.web.json_body import read_json_object
from shared.web.middleware import MAX_BODY_BYTES, RequestContext
from tests.shared.web.asgi import Connection, http_scope


@asynccontextmanager
async def nothing(_: FastAPI) -> AsyncIterator[None]:
    yield


class TooBusy(GatewayError):
    """An example of a refusal."""

    status = 503
    code = "too_busy"
    type = "server_error"
    is_retryable = True


class NotLetIn(GatewayError):
    """An example of a refusal of whoever calls."""

    status = 401
    code = "not_let_in"


def app() -> FastAPI:
    router = APIRouter()

    @router.post("/size")
    @public
    async def size(request: Request) -> int:
        return len(await request.body())

    @router.post("/fields")
    @public
    async def fields(request: Request) -> list[str]:
        return sorted(await read_json_object(request))

    @router.post("/bug")
    @public
    async def bug() -> None:
        raise RuntimeError("secret details")

    @router.post("/busy")
    @public
    async def busy() -> None:
        raise TooBusy("Later.", headers={"Retry-After": "3", "X-Request-Id": "forged"})

    @router.post("/stranger")
    @public
    async def stranger() -> None:
        raise NotLetIn("Nobody of this name.")

    return create_app("test", router, nothing)


async def post(path: str, *body: bytes, headers: tuple[tuple[bytes, bytes], ...] = ()) -> Connection:
    connection = Connection(*body)
    await connection.call(app(), http_scope(path, headers=headers))
    return connection


def error_of(connection: Connection) -> dict[str, object]:
    error: dict[str, object] = json.loads(connection.body)["error"]
    assert error["request_id"] == connection.headers["x-request-id"]
    assert connection.headers["x-should-retry"] == ("true" if error["retryable"] else "false")
    return error


@pytest.mark.parametrize("announced", [MAX_BODY_BYTES + 1, 10**30, "9" * 5_000])
async def test_a_body_that_announces_too_much_is_refused_unread(announced: object) -> None:
    connection = await post("/size", b"x", headers=((b"content-length", str(announced).encode()),))
    assert connection.status == 413
    assert error_of(connection)["code"] == "request_too_large"


@pytest.mark.parametrize("headers", [(), ((b"content-length", b"5"),), ((b"content-length", b"-1"),)])
async def test_a_body_that_grows_too_large_is_refused_whatever_it_announced(
    headers: tuple[tuple[bytes, bytes], ...],
) -> None:
    connection = await post("/size", b"x" * MAX_BODY_BYTES, b"x", headers=headers)
    assert connection.status == 413
    assert error_of(connection)["code"] == "request_too_large"


async def test_a_body_of_exactly_the_limit_passes() -> None:
    connection = await post("/size", b"x" * (MAX_BODY_BYTES - 1), b"x")
    assert (connection.status, connection.body) == (200, str(MAX_BODY_BYTES).encode())


async def test_a_bug_is_logged_once_and_told_without_details(capsys: pytest.CaptureFixture[str]) -> None:
    connection = await post("/bug")
    assert connection.status == 500
    assert error_of(connection)["code"] == "internal_error"
    assert b"secret details" not in connection.body
    log = capsys.readouterr().out
    lines = [json.loads(line) for line in log.splitlines()]
    assert [line["event"] for line in lines] == ["request_crashed", "request_answered"]
    assert " at " in lines[0]["error"]
    assert "secret details" not in log
    assert {line["request_id"] for line in lines} == {connection.headers["x-request-id"]}


async def test_a_page_of_another_origin_may_read_the_answer_to_a_bug() -> None:
    connection = await post("/bug", headers=((b"origin", b"https://app.example"),))
    assert (connection.status, connection.headers["access-control-allow-origin"]) == (500, "*")
    assert "X-Request-Id" in connection.headers["access-control-expose-headers"]
    assert error_of(connection)["code"] == "internal_error"


async def test_every_401_names_the_scheme() -> None:
    connection = await post("/stranger")
    assert (connection.status, connection.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_refusal_carries_its_headers_and_the_request_s_own_id() -> None:
    connection = await post("/busy")
    assert connection.status == 503
    assert connection.headers["retry-after"] == "3"
    assert error_of(connection)["code"] == "too_busy"
    assert connection.headers["x-request-id"] != "forged"


async def test_a_request_id_that_the_client_sends_is_not_taken_over() -> None:
    connection = await post("/size", b"x", headers=((b"x-request-id", b"forged"),))
    assert connection.headers["x-request-id"].startswith("req_")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b"NaN", b'{"a":Infinity}', b"\xff", b"[" * 100_000, b'{"a":' + b"1" * 5_000 + b"}"],
)
async def test_what_is_no_json_object_is_refused(body: bytes) -> None:
    connection = await post("/fields", body)
    assert connection.status == 400
    assert error_of(connection)["code"] == "invalid_request"


async def test_a_json_object_is_read_however_it_is_cut() -> None:
    pieces = [bytes([byte]) for byte in '{"é":1,"b":[null]}'.encode()]
    assert (await post("/fields", *pieces)).body == '["b","é"]'.encode()


async def test_a_client_that_leaves_in_the_middle_of_its_body_is_no_bug(capsys: pytest.CaptureFixture[str]) -> None:
    connection = Connection(b'{"a":', b"1}")
    connection._incoming.get_nowait()
    connection._incoming.get_nowait()
    connection.hang_up()
    await connection.call(app(), http_scope("/fields"))
    assert connection.status == 400
    assert "request_crashed" not in capsys.readouterr().out


async def test_an_unknown_path_survives_any_host_and_any_path() -> None:
    for path in ("/nothing", "/\0\n", "/" + "x" * 5_000):
        connection = Connection()
        scope = {**http_scope(path, headers=((b"host", b"["),)), "raw_path": b"/x"}
        await connection.call(app(), scope)
        assert connection.status == 404
        assert error_of(connection)["code"] == "unknown_path"
        assert len(connection.body) < 1_000


async def test_a_function_tells_that_it_is_ready() -> None:
    connection = Connection()
    await connection.call(app(), http_scope("/healthz", "GET"))
    assert (connection.status, connection.body) == (200, b'{"status":"ready"}')


async def test_a_bug_after_the_headers_leaves_the_answer_unfinished_and_its_words_out_of_every_log(
    capsys: pytest.CaptureFixture[str],
) -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError("secret details")

    connection = Connection()
    # Were it raised, the server would log it with its words.
    await connection.call(RequestContext(broken))
    assert len(connection.sent) == 1
    log = capsys.readouterr().out
    assert "request_crashed" in log
    assert "secret details" not in log
