"""Looking a request up afterwards, and having its answer erased, as a customer does."""

from collections.abc import Mapping
from typing import Any

import aiohttp
import psycopg
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.client import TIMEOUT, Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant

START = 10 * NANOS_PER_DOLLAR
PROMPT = "a secret of the person who asks"
SET_SCOPES = "update gateway.api_keys set scopes = '{models:read,account:read}' where id = %s"
SET_DOMAINS = "update gateway.api_keys set allowed_domains = '{app.example}' where id = %s"
SUSPEND = "update gateway.accounts set status = 'suspended' where id = %s"
USE_UP = "update gateway.api_keys set max_requests = requests_used where id = %s"
AS_BEFORE = """
    update gateway.usage_lines
       set request = null, upstream_id = null,
           attempts = (select jsonb_agg(attempt - 'started_ms') from jsonb_array_elements(attempts) as attempt)
     where account_id = %s
"""
READ_KEPT = "select answer is not null from gateway.replays where account_id = %s"

each_way = pytest.mark.parametrize("way", [("GET", ""), ("DELETE", "/answer")], ids=["read", "erase"])
Way = tuple[str, str]


async def look(
    gateway: RunningGateway, headers: Mapping[str, str], generation_id: str, way: Way = ("GET", "")
) -> Answer:
    method, rest = way
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.request(method, f"{gateway.url}/v1/generations/{generation_id}{rest}", headers=headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


async def erase(gateway: RunningGateway, tenant: Tenant, generation_id: str) -> Answer:
    return await look(gateway, tenant.headers, generation_id, ("DELETE", "/answer"))


async def ask_with_key(gateway: RunningGateway, tenant: Tenant, model: str, key: str) -> Answer:
    body = {"model": model, "messages": [{"role": "user", "content": PROMPT}]}
    return await post(gateway.url, body, {**tenant.headers, "Idempotency-Key": key})


def run(tenant: Tenant, statement: str, argument: int) -> list[tuple[Any, ...]]:
    with psycopg.connect(tenant.database_url, autocommit=True) as session:
        cursor = session.execute(statement.encode(), (argument,))
        return cursor.fetchall() if cursor.description else []


def refused(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.error["code"]


def without_request_id(answer: Answer) -> dict[str, Any]:
    return {name: value for name, value in answer.error.items() if name != "request_id"}
