"""Asking a provider what an answer used: found, not there yet, or no answer that can be believed."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from shared.clients.upstream import Upstream
from shared.core.ids import PriceId, ProviderSlug
from shared.flows.inference import ConfiguredProvider
from shared.flows.look_up_usage import LookedUp, look_up_usage
from shared.ledger.late import LookUp
from shared.ledger.types import Outcome, Quantities, Usage, UsageSource
from shared.providers.chutes import CHUTES
from shared.providers.openrouter import OPENROUTER

LOOK_UP = LookUp(ProviderSlug("openrouter"), "gen & 1/ü", max_input_tokens=1_000, max_output_tokens_total=500)
DATA = {
    "native_tokens_prompt": 100,
    "native_tokens_cached": 40,
    "native_tokens_completion": 20,
    "native_tokens_reasoning": 5,
    "total_cost": 0.001,
    "cancelled": True,
}
COUNTED = Usage(
    price_id=PriceId(7),
    quantities=Quantities(input_tokens=90, output_tokens=30, images=2),
    source=UsageSource.COUNTED,
    outcome=Outcome.ABANDONED,
    is_stream=True,
    attempts=(),
    duration_ms=7,
    waived_reason="crashed",
    upstream_id="gen & 1/ü",
)
Ask = Callable[[web.Response], Awaitable[LookedUp | None]]
Captured = pytest.CaptureFixture[str]


class Records:
    """Answers each question for a record with what the test says, and keeps the questions."""

    def __init__(self) -> None:
        self.response = web.Response()
        self.asked: list[tuple[str, str, str]] = []

    async def serve(self, request: web.Request) -> web.Response:
        self.asked.append((request.path, request.query["id"], request.headers["Authorization"]))
        return self.response


@pytest.fixture
def records() -> Records:
    return Records()


@pytest.fixture
async def ask(records: Records) -> AsyncIterator[Ask]:
    app = web.Application()
    app.router.add_get("/v1/generation", records.serve)
    async with TestServer(app, host="127.0.0.1") as server, aiohttp.ClientSession() as session:
        provider = ConfiguredProvider(OPENROUTER, str(server.make_url("/v1")), "key")

        async def call(response: web.Response) -> LookedUp | None:
            records.response = response
            return await look_up_usage(Upstream(session), provider, LOOK_UP, timeout_s=5)

        yield call


async def test_what_the_provider_tells_takes_the_place_of_what_we_counted(ask: Ask, records: Records) -> None:
    found = await ask(web.json_response({"data": DATA}))
    assert isinstance(found, LookedUp)
    assert records.asked == [("/v1/generation", "gen & 1/ü", "Bearer key")]
    usage = found.applied_to(COUNTED)
    assert usage.quantities == Quantities(input_tokens=60, cached_input_tokens=40, output_tokens=20, images=2)
    assert (usage.source, usage.reasoning_tokens, usage.reported_cost_nanos) == (UsageSource.LOOKUP, 5, 1_000_000)
    assert (usage.price_id, usage.outcome, usage.waived_reason, usage.upstream_id) == (
        COUNTED.price_id,
        COUNTED.outcome,
        COUNTED.waived_reason,
        COUNTED.upstream_id,
    )


@pytest.mark.parametrize("body", [{"data": {**DATA, "native_tokens_completion": None}}, {"data": None}, {}])
async def test_a_record_without_counts_is_none_yet_and_no_fault(ask: Ask, body: object, capsys: Captured) -> None:
    assert await ask(web.json_response(body)) is None
    assert capsys.readouterr().out == ""


async def test_no_record_is_none_and_no_fault(ask: Ask, capsys: Captured) -> None:
    assert await ask(web.json_response({"error": {"code": 404}}, status=404)) is None
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("status", [302, 401, 402, 429, 500, 502])
async def test_another_status_is_none_and_said(ask: Ask, status: int, capsys: Captured) -> None:
    assert await ask(web.json_response({"data": DATA}, status=status)) is None
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["level"], line["status"]) == ("look_up_failed", "warning", status)


@pytest.mark.parametrize(
    "body", [b"<html>", b'{"data": 7}', json.dumps({"data": {**DATA, "native_tokens_completion": 501}}).encode()]
)
async def test_a_record_that_cannot_be_is_none_and_an_error(ask: Ask, body: bytes, capsys: Captured) -> None:
    assert await ask(web.Response(body=body)) is None
    line = json.loads(capsys.readouterr().out)
    assert (line["event"], line["level"]) == ("look_up_failed", "error")


async def test_a_provider_that_is_away_is_none_and_said(unused_tcp_port: int, capsys: Captured) -> None:
    provider = ConfiguredProvider(OPENROUTER, f"http://127.0.0.1:{unused_tcp_port}", "key")
    async with aiohttp.ClientSession() as session:
        assert await look_up_usage(Upstream(session), provider, LOOK_UP, timeout_s=5) is None
    assert json.loads(capsys.readouterr().out)["reason"] == "UpstreamUnreachable"


async def test_a_provider_without_records_is_not_asked(unused_tcp_port: int, capsys: Captured) -> None:
    provider = ConfiguredProvider(CHUTES, f"http://127.0.0.1:{unused_tcp_port}", "key")
    async with aiohttp.ClientSession() as session:
        assert await look_up_usage(Upstream(session), provider, LOOK_UP, timeout_s=5) is None
    assert capsys.readouterr().out == ""
