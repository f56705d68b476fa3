"""Requests and callers out of the ordinary: they get what they may have, and cost nobody else anything."""

import asyncio
import json
import time

import aiohttp
import psycopg
import pytest

from infra.local.ports import LOOPBACK
from infra.local.stack import LocalStack
from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.functions.chat.client import HELLO, PATH, ask, post
from tests.functions.chat.raw_provider import RawProvider
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR
NANOS_PER_TOKEN = 2_000
IMAGE = {"type": "image_url", "image_url": {"url": "https://images.example/1.png"}}


async def test_more_images_than_any_model_takes_are_the_clients_fault(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    model = make_model(image_input_tokens=10_000)
    answer = await ask(gateway, tenant(), model, messages=[{"role": "user", "content": [IMAGE] * 20_000}])
    assert (answer.status, answer.error["param"]) == (400, "messages")


@pytest.mark.parametrize("count", [10_001, 1_000_000])
async def test_more_messages_than_fit_are_refused_without_holding_others_up(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, count: int
) -> None:
    body = b'{"model":"' + make_model().id.encode() + b'","messages":[' + b",".join([b"{}"] * count) + b"]}"
    started_s = time.monotonic()
    answer = await post(gateway.url, body, tenant().headers)
    assert answer.status == 400
    assert time.monotonic() - started_s < 3


async def test_half_an_emoji_reaches_the_provider_as_it_was_sent(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    model = make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, b"HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n")
    body = b'{"model":"' + model.id.encode() + b'","messages":[{"role":"user","content":"\\ud83d"}]}'
    await post(odd_gateway.url, body, tenant().headers)
    (request,) = raw_provider.requests(model.upstream_model)
    assert b'"content":"\\ud83d"' in request


async def test_an_answer_that_cannot_be_completed_is_delivered_as_it_came(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    body = b'{"choices":[{"message":{"content":"hi"},"finish_reason":"stop"}],"\xff":1}'
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    raw_provider.answers(model.upstream_model, head + body)
    answer = await ask(odd_gateway, customer, model)
    assert (answer.status, answer.raw) == (200, body)
    assert assert_settled(customer, START) > 0


async def test_an_admission_that_is_answered_too_late_leaves_no_hold(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, database_url: str
) -> None:
    customer, model = tenant(), make_model()
    async with await psycopg.AsyncConnection.connect(database_url) as session:
        await session.execute("select from gateway.wallets where account_id = %s for update", (customer.account_id,))
        answer = await ask(gateway, customer, model)
        await session.rollback()
    assert (answer.status, answer.error["retryable"]) == (503, True)
    await asyncio.sleep(1)
    assert assert_settled(customer, START) == 0
    assert simulator.requests(model.upstream_model) == []


async def test_a_slow_upload_does_not_move_the_deadline(
    short_gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=400,pace_ms=50", providers=("featherless",))
    body = json.dumps({"model": model.id, "messages": HELLO, "stream": True}).encode()
    head = (
        f"POST {PATH} HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {customer.api_key}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode()
    started_s = time.monotonic()
    reader, writer = await asyncio.open_connection(LOOPBACK, short_gateway.port)
    writer.write(head + body[:10])
    await asyncio.sleep(1.5)
    writer.write(body[10:])
    answer = await reader.read()
    assert time.monotonic() - started_s < 3.3
    assert b"time_limit_reached" in answer
    writer.close()
    assert wait_until_settled(customer)["outcome"] == "interrupted"


async def test_a_platform_that_names_no_address_does_not_stop_keys_that_need_none(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, stack: LocalStack
) -> None:
    assert stack.database_url
    gateway, customer, model = start_gateway(CLIENT_ADDRESS_SOURCE="vercel"), tenant(), make_model("tokens=2")
    answers = [await ask(gateway, customer, model) for _ in range(8)]
    assert {answer.status for answer in answers} == {200}
    with psycopg.connect(customer.database_url, autocommit=True) as session:
        session.execute("update gateway.api_keys set ip_allowlist = '{0.0.0.0/0}' where id = %s", (customer.key_id,))
    assert (await ask(gateway, customer, model)).error["code"] == "address_not_allowed"


async def test_a_stream_of_nothing_but_its_end_is_no_answer(
    odd_gateway: RunningGateway, tenant: Tenants, make_model: Models, raw_provider: RawProvider
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
    raw_provider.answers(model.upstream_model, head + b"data: [DONE]\n\n")
    answer = await ask(odd_gateway, customer, model, stream=True)
    assert (answer.status, answer.error["code"]) == (502, "provider_unavailable")
    assert assert_settled(customer, START) == 0


@pytest.mark.parametrize("piece", [b"[],", b"1,"])
async def test_a_body_of_nothing_but_structure_is_refused_unread(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, piece: bytes
) -> None:
    filler = piece * (4_000_000 // len(piece)) + b"0"
    body = b'{"model":"' + make_model().id.encode() + b'","messages":[{"role":"user"}],"x":[' + filler + b"]}"
    started_s = time.monotonic()
    answer = await post(gateway.url, body, tenant().headers)
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
    assert time.monotonic() - started_s < 2


async def test_a_browser_may_ask_and_read_the_answer(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    origin = {"Origin": "https://app.example"}
    preflight = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type",
    }
    async with (
        aiohttp.ClientSession() as session,
        session.options(gateway.url + PATH, headers={**origin, **preflight}) as answer,
    ):
        assert answer.status == 200
        assert "authorization" in answer.headers["Access-Control-Allow-Headers"]
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert answer.headers["X-Request-Id"]
    body = {"model": make_model("tokens=2").id, "messages": HELLO}
    asked = await post(gateway.url, body, {**tenant().headers, **origin})
    assert (asked.status, asked.headers["Access-Control-Allow-Origin"]) == (200, "*")
    assert "X-Generation-Id" in asked.headers["Access-Control-Expose-Headers"]
