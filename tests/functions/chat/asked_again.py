"""Asking again, as a client does whose answer did not arrive."""

import asyncio
import contextlib
from typing import Any

import aiohttp
import psycopg
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.client import HELLO, PATH, Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel

START = 10 * NANOS_PER_DOLLAR
KEY = {"Idempotency-Key": "order-4711"}
WHOLE: dict[str, Any] = {}
STREAM: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
KINDS = pytest.mark.parametrize("kind", [WHOLE, STREAM], ids=["whole", "stream"])
FIRST_TRY = {"x-stainless-retry-count": "0"}
SECOND_TRY = {"x-stainless-retry-count": "1"}
COST = 10 * 1_000 + 8 * 2_000


async def send(
    gateway: RunningGateway, tenant: Tenant, model: TestModel, headers: dict[str, str], **fields: Any
) -> Answer:
    body = {"model": model.id, "messages": HELLO, **fields}
    return await post(gateway.url, body, {**tenant.headers, **headers})


async def send_and_leave(
    gateway: RunningGateway,
    tenant: Tenant,
    model: TestModel,
    headers: dict[str, str],
    *,
    after_s: float,
    **fields: Any,
) -> None:
    """Ask, and hang up after a time, whatever has come by then."""
    body = {"model": model.id, "messages": HELLO, **fields}
    async with aiohttp.ClientSession(headers={**tenant.headers, **headers}) as session:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s), session.post(gateway.url + PATH, json=body) as response:
                await response.read()


def assert_replayed(first: Answer, again: Answer) -> None:
    assert again.status == first.status == 200
    assert again.raw == first.raw
    assert again.generation_id == first.generation_id
    assert again.headers["X-Provider"] == first.headers["X-Provider"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def execute(tenant: Tenant, statement: str) -> None:
    with psycopg.connect(tenant.database_url, autocommit=True) as session:
        session.execute(statement.encode(), (tenant.account_id,))
