import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import pytest

from infra.local.ports import choose_free_ports
from infra.local.stack import ROOT
from shared.clients.collector import COOL_DOWN_S, DEADLINE_S, SLOW_S, Collector, open_collector
from shared.clients.http_session import open_session
from shared.core.collector import CollectorSettings
from shared.core.spans import Span
from tests.harness.collector import CLIENT, ERROR, CollectorDouble, read_attributes

SPAN = Span(
    trace_id="4bf92f3577b34da6a3ce929d0e0e4736",
    span_id="00f067aa0ba902b7",
    parent_id="b7ad6b7169203331",
    trace_state="a=1",
    name="chat a/model",
    kind="client",
    started_ns=1_763_900_000_000_000_001,
    ended_ns=1_763_900_001_000_000_002,
    attributes={"text": "é", "whole": 7, "part": 0.5, "yes": True, "no": False},
)


@pytest.fixture
def double() -> Iterator[CollectorDouble]:
    opened = CollectorDouble().open()
    yield opened
    opened.close()


@pytest.fixture
async def collector(double: CollectorDouble) -> AsyncIterator[Collector]:
    async with open_session() as session:
        opened = open_collector(session, settings(double.url))
        assert opened is not None
        yield opened


def settings(url: str) -> CollectorSettings:
    return CollectorSettings(f"{url}/v1/traces", (("x-key", "secret"),), (("service.name", "ai-gateway"),))


async def test_a_span_arrives_as_it_was(collector: Collector, double: CollectorDouble) -> None:
    await collector.send([SPAN])
    (received,) = double.received
    assert (received.path, received.headers["x-key"]) == ("/v1/traces", "secret")
    assert received.headers["Content-Type"] == "application/x-protobuf"
    assert received.resource == {"service.name": "ai-gateway"}
    (span,) = received.spans
    assert (span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()) == (
        SPAN.trace_id,
        SPAN.span_id,
        SPAN.parent_id,
    )
    assert (span.trace_state, span.name, span.kind) == ("a=1", "chat a/model", CLIENT)
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (SPAN.started_ns, SPAN.ended_ns)
    attributes = read_attributes(span.attributes)
    assert attributes == SPAN.attributes
    assert [type(value) for value in attributes.values()] == [str, int, float, bool, bool]


async def test_a_failure_is_a_status_and_its_kind(collector: Collector, double: CollectorDouble) -> None:
    failed = Span(**{name: getattr(SPAN, name) for name in SPAN.__struct_fields__} | {"error": "UpstreamTimeout"})
    await collector.send([SPAN, failed])
    fine, wrong = double.received[0].spans
    assert (fine.status.code, wrong.status.code) == (0, ERROR)
    assert read_attributes(wrong.attributes)["error.type"] == "UpstreamTimeout"
    assert "error.type" not in read_attributes(fine.attributes)


async def test_a_first_span_has_no_parent(collector: Collector, double: CollectorDouble) -> None:
    await collector.send([Span(**{name: getattr(SPAN, name) for name in SPAN.__struct_fields__} | {"parent_id": None})])
    assert double.received[0].spans[0].parent_span_id == b""


async def test_a_slow_collector_is_waited_for_half_a_second_and_then_left_alone(
    collector: Collector, double: CollectorDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    double.delay_s = 30
    started_s = time.monotonic()
    await collector.send([SPAN])
    assert DEADLINE_S <= time.monotonic() - started_s < DEADLINE_S + 0.3
    started_s = time.monotonic()
    await collector.send([SPAN])
    assert time.monotonic() - started_s < 0.05
    assert len(double.received) == 1
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["reason"], line["rests_s"]) == ("spans_not_sent", "TimeoutError", COOL_DOWN_S)


async def test_a_collector_for_which_an_answer_has_waited_is_left_alone_too(
    collector: Collector, double: CollectorDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    await collector.send([SPAN])
    collector.note_waited(SLOW_S)
    await collector.send([SPAN])
    for _ in range(2):
        collector.note_waited(SLOW_S + 0.01)
        await collector.send([SPAN])
    assert len(double.received) == 2
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["waited_ms"], line["rests_s"]) == ("spans_slow", 110, COOL_DOWN_S)


@pytest.mark.parametrize("status", [302, 401, 503])
async def test_a_collector_that_takes_nothing_is_said_once_with_its_status(
    collector: Collector, double: CollectorDouble, status: int, capsys: pytest.CaptureFixture[str]
) -> None:
    double.status = status
    await collector.send([SPAN])
    await collector.send([SPAN])
    log = capsys.readouterr().out
    assert json.loads(log)["reason"] == f"status {status}"
    assert "secret" not in log


async def test_a_collector_that_is_away_raises_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    (port,) = choose_free_ports(1)
    async with open_session() as session:
        collector = open_collector(session, settings(f"http://127.0.0.1:{port}"))
        assert collector is not None
        await collector.send([SPAN])
    assert json.loads(capsys.readouterr().out)["event"] == "spans_not_sent"


LOADED = """
import asyncio, sys
import functions.chat.app, functions.images.app

async def start(app):
    async with app.router.lifespan_context(app):
        pass

asyncio.run(start(functions.chat.app.app))
asyncio.run(start(functions.images.app.app))
print([name for name in sys.modules if name.startswith(("google", "opentelemetry.proto", "opentelemetry.sdk"))])
"""
WITHOUT = f"import sys; sys.modules['opentelemetry.proto'] = None\n{LOADED}"
VARIABLES = {
    "SUPABASE_URL": "http://127.0.0.1:1",
    "SUPABASE_SERVICE_ROLE_KEY": "key",
    "UPSTASH_REDIS_REST_URL": "http://127.0.0.1:1",
    "UPSTASH_REDIS_REST_TOKEN": "token",
    "SECRET_KEY": "x" * 32,
}


def run(script: str, **more: str) -> subprocess.CompletedProcess[str]:
    command = (sys.executable, "-c", script)
    return subprocess.run(
        command, cwd=ROOT, env={**VARIABLES, **more}, capture_output=True, text=True, timeout=60, check=False
    )


def test_a_function_without_a_collector_loads_nothing_of_it() -> None:
    ran = run(LOADED)
    assert (ran.returncode, ran.stdout.strip()) == (0, "[]"), ran.stderr


def test_a_function_with_a_collector_loads_its_messages_and_no_sdk() -> None:
    ran = run(LOADED, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert ran.returncode == 0, ran.stderr
    assert "opentelemetry.proto.trace.v1.trace_pb2" in ran.stdout
    assert "opentelemetry.sdk" not in ran.stdout


def test_without_the_package_a_function_without_a_collector_starts() -> None:
    assert run(WITHOUT).returncode == 0


def test_without_the_package_a_function_with_a_collector_refuses_to_start() -> None:
    ran = run(WITHOUT, OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1")
    assert ran.returncode != 0
    assert (
        "SettingsError: OTEL_EXPORTER_OTLP_ENDPOINT is set but OpenTelemetry's package is not installed" in ran.stderr
    )
