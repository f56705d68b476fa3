"""What is measured of providers, and by which answers: others' requests are ordered by it."""

import asyncio
import json
import socket
import time
from urllib.parse import urlsplit

import aiohttp
from aiohttp import web

from shared.clients.redis import Redis
from tests.flows.blame import begin_stream, serve_by
from tests.flows.breakers import Place, change_record, read_record, read_record_when_told
from tests.flows.calls import PATH, ask, chat
from tests.functions.chat.raw_provider import chunk
from tests.harness.gateways import Gateways
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

STREAM: dict[str, object] = {"stream": True}
READER_PAUSE_S = 6


async def test_what_one_gateway_has_measured_orders_another_s_attempts(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=2", providers=("chutes", "openrouter"))
    by_latency = chat(model, provider={"sort": "latency"}, **STREAM)
    # Who is not known yet is tried; then both are.
    tried = [(await ask(session, two_gateways[0], customer, by_latency)).headers["X-Provider"] for _ in range(2)]
    assert tried == ["chutes", "openrouter"]

    def slow_down(numbers: list[float]) -> None:
        assert numbers[Place.LATENCY_AT] > 0
        numbers[Place.LATENCY] = 9_000

    await change_record(redis, model, "chutes", slow_down)
    for url in two_gateways:
        assert (await ask(session, url, customer, by_latency)).headers["X-Provider"] == "openrouter"
        assert (await ask(session, url, customer, chat(model))).headers["X-Provider"] == "chutes"


async def test_a_text_in_one_piece_measures_nothing(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=60,headers_then_wait_ms=700")
    assert (await ask(session, two_gateways[0], customer, chat(model))).status == 200
    record = await read_record(redis, model)
    assert (record.latency_at_ms, record.tokens_per_second_at_ms) == (0, 0)


async def test_a_stream_measures_its_beginning_and_its_pace(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=80,pace_ms=10,first_byte_ms=200")
    assert (await ask(session, two_gateways[0], customer, chat(model, **STREAM))).is_done
    record = await read_record(redis, model)
    assert 200 <= record.latency_ms < 700
    # A hundred a second, on a busy machine less.
    assert 25 < record.tokens_per_second < 130


async def test_too_little_is_no_pace(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer = tenant()
    for script in ("tokens=1", "tokens=30,pace_ms=10", "tokens=400", "tokens=90,pace_ms=10,cut=mid_stream,at=60"):
        model = make_model(script)
        await ask(session, two_gateways[0], customer, chat(model, **STREAM))
        record = await read_record(redis, model)
        assert record.latency_at_ms > 0
        assert record.tokens_per_second_at_ms == 0, script


async def test_what_a_provider_thinks_and_keeps_to_itself_is_no_pace(
    *,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = await begin_stream(request)
        for _ in range(60):
            await response.write(chunk("a"))
            await asyncio.sleep(0.01)
        usage = b'"usage":{"prompt_tokens":3,"completion_tokens":3060,"total_tokens":3063,"cost":0.00001}'
        await response.write(chunk("", "stop").replace(b'"choices"', usage + b',"choices"') + b"data: [DONE]\n\n")
        return response

    async with serve_by(answer) as provider_url:
        url = start_gateway(OPENROUTER_BASE_URL=provider_url).url
        customer, model = tenant(), make_model("tokens=2")
        assert (await ask(session, url, customer, chat(model, max_tokens=8_000, **STREAM))).is_done
    assert 10 < (await read_record(redis, model)).tokens_per_second < 130


async def test_a_client_that_reads_slowly_makes_no_provider_slow(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=80000", max_output_tokens=200_000)
    sent_bytes = await asyncio.to_thread(read_slowly, two_gateways[0], customer, model)
    assert sent_bytes > 80_000
    record = await read_record_when_told(redis, model)
    assert record.failures == 0
    assert record.tokens_per_second_at_ms == 0


def read_slowly(url: str, customer: Tenant, model: TestModel) -> int:
    """Read a long stream after a pause, by a socket that takes little at once; return how much came."""
    address = urlsplit(url)
    body = json.dumps(chat(model, max_tokens=80_000, **STREAM))
    lines = (
        f"POST {PATH} HTTP/1.1",
        f"Host: {address.netloc}",
        "Content-Type: application/json",
        f"Authorization: {customer.headers['Authorization']}",
        f"Content-Length: {len(body)}",
        "Connection: close",
    )
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect((address.hostname, address.port))
        client.sendall("\r\n".join((*lines, "", body)).encode())
        time.sleep(READER_PAUSE_S)
        received_bytes = 0
        while data := client.recv(1 << 20):
            received_bytes += len(data)
    return received_bytes


async def test_who_is_not_known_is_not_asked_first_for_ever(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=60,pace_ms=5", providers=("chutes", "openrouter"))
    url, by_pace = two_gateways[0], {"sort": "throughput"}
    whole = chat(model, provider=by_pace)
    only_openrouter = chat(model, provider={"only": ["openrouter"]}, **STREAM)
    assert (await ask(session, url, customer, only_openrouter)).is_done
    assert (await read_record(redis, model)).tokens_per_second_at_ms > 0
    # An answer in one piece cannot measure the other one; a stream can.
    for _ in range(3):
        assert (await ask(session, url, customer, whole)).headers["X-Provider"] == "openrouter"
    stream = chat(model, provider=by_pace, **STREAM)
    assert (await ask(session, url, customer, stream)).headers["X-Provider"] == "chutes"
    assert (await read_record(redis, model, "chutes")).tokens_per_second_at_ms > 0


async def test_embeddings_are_measured_whole(
    *,
    two_gateways: tuple[str, str],
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model.embedding_model()
    body = {"model": model.id, "input": ["one"]}
    async with session.post(f"{two_gateways[0]}/v1/embeddings", json=body, headers=customer.headers) as response:
        assert response.status == 200, await response.text()
    assert (await read_record(redis, model)).latency_at_ms > 0
