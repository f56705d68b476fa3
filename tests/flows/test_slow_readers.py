"""Readers who stand still: each holds up its own provider, costs a bounded piece of memory, and is settled."""

import asyncio
import json
import logging
import secrets
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from decimal import Decimal
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web

from infra.local.ports import LOOPBACK
from tests.flows.calls import PATH, ask, chat, wait_until
from tests.functions.chat.raw_provider import chunk
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants, TestModel
from tests.harness.threaded_proxy import ThreadedProxy

READERS = 40
PROMPT_TOKENS = 10
DOLLARS_PER_MTOK = Decimal("0.01")
NANOS_PER_TOKEN = 10
TEXT = "x" * 1_000
EVENTS_PER_WRITE = 16
# What a socket takes in although its program reads nothing; left alone it grows to megabytes.
SOCKET_BUFFER_BYTES = 16 * 1024
STANDS_STILL_S = 2.0
PAGE_KIB = 4
KIB = 1024
# Reading stops at 128 KiB that wait, after a last piece of up to 256 KiB; then there are as many bytes once as they
# came, once as events and once on their way out. With a key also the answer that is kept for a retry, up to 256 KiB.
MOST_KIB_PER_READER = {"without a key": 1_280, "with a key": 1_536}


class EndlessProvider(ThreadedProxy):
    """Says the same for as long as somebody takes it, and tells afterwards how much that was."""

    def __init__(self) -> None:
        super().__init__("endless-provider")
        self.written_bytes: dict[str, int] = {}

    async def answer(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        """Answer a chat completion without an end, or with the record of one that was left."""
        if request.method == "GET":
            return web.json_response(self._record(request.rel_url.query["id"]))
        await request.read()
        assert request.transport is not None
        request.transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SOCKET_BUFFER_BYTES)
        name = f"gen-endless-{len(self.written_bytes)}"
        self.written_bytes[name] = 0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "X-Generation-Id": name})
        await response.prepare(request)
        block = chunk(TEXT).replace(b'"id":"raw"', f'"id":"{name}"'.encode()) * EVENTS_PER_WRITE
        with suppress(ConnectionError):
            while True:
                await response.write(block)
                self.written_bytes[name] += len(block)
        return response

    def tokens_of(self, name: str) -> int:
        """Return how many tokens an answer had; after it was left it grows no more."""
        return self.written_bytes[name] // 4

    def _record(self, name: str) -> dict[str, object]:
        counts = {"native_tokens_prompt": PROMPT_TOKENS, "native_tokens_completion": self.tokens_of(name)}
        return {"data": {"id": name, **counts, "cancelled": True}}


@pytest.fixture
def provider() -> Iterator[EndlessProvider]:
    provider = EndlessProvider().open()
    yield provider
    provider.close()


@contextmanager
def standing_reader(gateway: RunningGateway, customer: Tenant, model: TestModel, key: str | None) -> Iterator[None]:
    """Ask for a stream, read nothing of it, and hang up."""
    body = json.dumps(chat(model, stream=True)).encode()
    lines = [
        f"POST {PATH} HTTP/1.1",
        f"Host: {LOOPBACK}",
        f"Authorization: Bearer {customer.api_key}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
        *([] if key is None else [f"Idempotency-Key: {key}"]),
    ]
    with socket.socket() as reader:
        reader.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SOCKET_BUFFER_BYTES)
        reader.settimeout(10)
        reader.connect((LOOPBACK, gateway.port))
        reader.sendall("\r\n".join([*lines, "", ""]).encode() + body)
        yield


def resident_kib(gateway: RunningGateway) -> int:
    return int(Path(f"/proc/{gateway.pid}/statm").read_text().split()[1]) * PAGE_KIB


async def wait_until_it_stands_still(provider: EndlessProvider, within_s: float = 60.0) -> None:
    """Wait until every provider has begun and none has said anything more for a while.

    raises  TimeoutError
    """
    async with asyncio.timeout(within_s):
        written, since_s = dict(provider.written_bytes), time.monotonic()
        while len(written) < READERS or time.monotonic() - since_s < STANDS_STILL_S:
            await asyncio.sleep(0.1)
            if provider.written_bytes != written:
                written, since_s = dict(provider.written_bytes), time.monotonic()


@pytest.mark.parametrize("kind", list(MOST_KIB_PER_READER))
async def test_a_reader_that_stands_still_stops_its_provider_and_costs_little_memory(
    *,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    provider: EndlessProvider,
    session: aiohttp.ClientSession,
    kind: str,
) -> None:
    gateway, customer = start_gateway(OPENROUTER_BASE_URL=provider.url), tenant()
    quick = make_model("tokens=500", providers=("featherless",))
    endless = make_model(
        input_usd_per_mtok=DOLLARS_PER_MTOK, output_usd_per_mtok=DOLLARS_PER_MTOK, max_output_tokens=10_000_000
    )
    # The memory that a process takes once and keeps, for as many requests at once.
    await asyncio.gather(*(ask(session, gateway.url, customer, chat(quick, stream=True)) for _ in range(READERS)))
    before_kib = resident_kib(gateway)
    with ExitStack() as readers:
        for _ in range(READERS):
            key = secrets.token_hex(8) if kind == "with a key" else None
            readers.enter_context(standing_reader(gateway, customer, endless, key))
        await wait_until_it_stands_still(provider)
        per_reader_kib = (resident_kib(gateway) - before_kib) / READERS
        beside = await ask(session, gateway.url, customer, chat(quick, stream=True))
    written_kib = sum(provider.written_bytes.values()) / READERS / KIB
    measured = f"{kind}: {per_reader_kib:.0f} KiB of memory for a reader, {written_kib:.0f} KiB written by its provider"
    # Shown by pytest --log-cli-level=INFO.
    logging.getLogger(__name__).info(measured)
    assert per_reader_kib < MOST_KIB_PER_READER[kind]
    assert written_kib > 2 * MOST_KIB_PER_READER[kind], "too little was written to show that memory is bounded"
    assert (beside.status, beside.is_done) == (200, True)
    if kind == "without a key":
        await assert_paid_for_what_the_provider_said(customer, provider)


async def assert_paid_for_what_the_provider_said(customer: Tenant, provider: EndlessProvider) -> None:
    """Who has hung up without a key pays for what the provider says that it had said by then; nothing stays held."""
    await wait_until(lambda: not customer.books.holds("held"), within_s=30)
    lines = [line for line in customer.books.usage_lines() if line.outcome == "abandoned"]
    assert {line.usage_source for line in lines} == {"lookup"}
    assert sorted(line.output_tokens for line in lines) == sorted(map(provider.tokens_of, provider.written_bytes))
    assert all(line.charged_nanos == (line.output_tokens + PROMPT_TOKENS) * NANOS_PER_TOKEN for line in lines)
    assert customer.books.broken_rules() == []
