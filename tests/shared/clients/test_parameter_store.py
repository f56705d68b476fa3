"""A function's variables from Parameter Store; the store is played over HTTP, its faults too."""

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.clients import parameter_store
from shared.clients.parameter_store import ATTEMPTS, ParametersUnavailable, load_environment, read_parameters
from shared.core.platform import ParameterStoreSettings

PATH = "/ai-gateway/prod"


class PlayedStore(ThreadingHTTPServer):
    """Answers GetParameters as AWS does; `faults` are statuses to answer first."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.parameters: dict[str, str] = {}
        self.faults: list[int] = []
        self.refusal = "<html>not now</html>"
        self.asked: list[tuple[dict[str, str], dict[str, Any]]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: PlayedStore

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(({name.lower(): value for name, value in self.headers.items()}, asked))
        status = self.server.faults.pop(0) if self.server.faults else 200
        found = {name: self.server.parameters[name] for name in asked["Names"] if name in self.server.parameters}
        answer = {
            "Parameters": [{"Name": name, "Type": "SecureString", "Value": value} for name, value in found.items()],
            "InvalidParameters": [name for name in asked["Names"] if name not in found],
        }
        body = json.dumps(answer).encode() if status == 200 else self.server.refusal.encode()
        self.send_response(200 if status == 299 else status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[PlayedStore]:
    monkeypatch.setattr(parameter_store, "FIRST_PAUSE_S", 0.001)
    server = PlayedStore()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def settings(endpoint: str, *names: str) -> ParameterStoreSettings:
    return ParameterStoreSettings(PATH, names, endpoint, "eu-central-1", "AKIDEXAMPLE", "aws-secret", "aws-token")


async def test_the_parameters_that_exist_come_decrypted_under_their_names(store: PlayedStore) -> None:
    store.parameters = {f"{PATH}/SECRET_KEY": "s, with = signs", f"{PATH}/OTHER": "not asked for"}
    assert await read_parameters(settings(store.url, "SECRET_KEY", "CRON_SECRET")) == {"SECRET_KEY": "s, with = signs"}
    ((headers, asked),) = store.asked
    assert asked == {"Names": [f"{PATH}/SECRET_KEY", f"{PATH}/CRON_SECRET"], "WithDecryption": True}
    assert headers["x-amz-target"] == "AmazonSSM.GetParameters"
    assert headers["x-amz-security-token"] == "aws-token"
    assert "/eu-central-1/ssm/aws4_request" in headers["authorization"]


async def test_more_than_ten_names_are_asked_for_in_tens(store: PlayedStore) -> None:
    names = [f"NAME_{number}" for number in range(23)]
    store.parameters = {f"{PATH}/{name}": name.lower() for name in names}
    assert await read_parameters(settings(store.url, *names)) == {name: name.lower() for name in names}
    assert sorted(len(asked["Names"]) for _, asked in store.asked) == [3, 10, 10]


# 299: a 200 whose body is no JSON.
@pytest.mark.parametrize("fault", [400, 500, 503, 299])
async def test_failures_are_waited_out(store: PlayedStore, fault: int) -> None:
    store.parameters = {f"{PATH}/SECRET_KEY": "s"}
    store.faults = [fault] * (ATTEMPTS - 1)
    assert await read_parameters(settings(store.url, "SECRET_KEY")) == {"SECRET_KEY": "s"}


async def test_a_store_that_stays_away_keeps_the_function_from_starting(
    store: PlayedStore, capsys: pytest.CaptureFixture[str]
) -> None:
    store.faults = [500] * ATTEMPTS
    with pytest.raises(ParametersUnavailable, match=PATH):
        await read_parameters(settings(store.url, "SECRET_KEY"))
    assert len(store.asked) == ATTEMPTS
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["reason"] for line in lines] == ["HTTPError 500"] * ATTEMPTS


@pytest.mark.parametrize("body", ["[]", "null", "3", '{"Parameters": 7}', '{"Parameters": [{}]}', "{"])
async def test_an_answer_of_another_shape_is_a_failure_too(store: PlayedStore, body: str) -> None:
    store.parameters = {f"{PATH}/SECRET_KEY": "s"}
    store.faults, store.refusal = [299], body
    assert await read_parameters(settings(store.url, "SECRET_KEY")) == {"SECRET_KEY": "s"}


async def test_a_crowd_is_told_to_come_again_and_does(store: PlayedStore, capsys: pytest.CaptureFixture[str]) -> None:
    store.parameters = {f"{PATH}/SECRET_KEY": "s"}
    store.faults, store.refusal = [400], '{"__type": "ThrottlingException", "message": "Rate exceeded"}'
    assert await read_parameters(settings(store.url, "SECRET_KEY")) == {"SECRET_KEY": "s"}
    assert "ThrottlingException" in capsys.readouterr().out


async def test_a_role_that_may_not_read_is_told_so_at_once(store: PlayedStore) -> None:
    store.faults = [400] * ATTEMPTS
    store.refusal = '{"__type": "com.amazonaws.ssm#AccessDeniedException", "Message": "not authorized"}'
    with pytest.raises(ParametersUnavailable, match="AccessDeniedException"):
        await read_parameters(settings(store.url, "SECRET_KEY"))
    assert len(store.asked) == 1


@pytest.mark.parametrize(
    "bytes_sent", [b"", b"nonsense\r\n\r\n", b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{"Parameters"']
)
async def test_a_connection_that_breaks_off_is_a_failure_and_no_bug(
    monkeypatch: pytest.MonkeyPatch, bytes_sent: bytes
) -> None:
    monkeypatch.setattr(parameter_store, "FIRST_PAUSE_S", 0.001)

    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(65_536)
        writer.write(bytes_sent)
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(break_off, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        with pytest.raises(ParametersUnavailable):
            await read_parameters(settings(url, "SECRET_KEY"))


async def test_a_start_waits_so_long_and_no_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameter_store, "WITHIN_S", 0.3)
    monkeypatch.setattr(parameter_store, "DEADLINE_S", 0.6)
    released = asyncio.Event()

    async def hang(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await released.wait()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    async with server:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        started_s = time.monotonic()
        with pytest.raises(ParametersUnavailable, match="within"):
            await read_parameters(settings(url, "SECRET_KEY"))
        assert 0.3 <= time.monotonic() - started_s < 0.6
        released.set()


def test_all_the_waiting_fits_into_the_ten_seconds_of_a_start() -> None:
    assert parameter_store.DEADLINE_S < parameter_store.WITHIN_S < 9


async def test_nobody_listening_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parameter_store, "FIRST_PAUSE_S", 0.001)
    with pytest.raises(ParametersUnavailable):
        await read_parameters(settings("http://127.0.0.1:9", "SECRET_KEY"))


async def test_a_function_s_own_variables_go_before_its_parameters(
    store: PlayedStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.parameters = {f"{PATH}/SECRET_KEY": "from the store", f"{PATH}/CRON_SECRET": "from the store"}
    own = {
        "PARAMETERS": "SECRET_KEY,CRON_SECRET",
        "PARAMETERS_PATH": PATH,
        "AWS_REGION": "eu-central-1",
        "AWS_ACCESS_KEY_ID": "AKIDEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "aws-secret",
        "AWS_ENDPOINT_URL": store.url,
        "SECRET_KEY": "own",
    }
    for name, value in own.items():
        monkeypatch.setenv(name, value)
    environment = await load_environment()
    assert (environment["SECRET_KEY"], environment["CRON_SECRET"]) == ("own", "from the store")


async def test_elsewhere_than_on_aws_nothing_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PARAMETERS", raising=False)
    monkeypatch.setenv("CRON_SECRET", "own")
    assert (await load_environment())["CRON_SECRET"] == "own"
