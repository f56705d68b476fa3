"""The job that erases what people have deleted, and what is past its time."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from infra.local.stack import LocalStack
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.functions.scheduled.test_jobs import run_command
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants

SECRET = "a cron secret of the tests"
JOB = "/internal/jobs/purge"
SESSIONS, RESPONSES = "/v1/chat/sessions", "/v1/responses"
MESSAGES_LEFT = "select count(*)::int from gateway.chat_messages where account_id = %s"
SESSIONS_LEFT = "select count(*)::int from gateway.chat_sessions where account_id = %s"
RESPONSES_LEFT = "select count(*)::int from gateway.stored_responses where account_id = %s"
ANSWERS_LEFT = "select count(*)::int from gateway.replays where account_id = %s"
COUNTED = "select sessions, messages, size_bytes from gateway.chat_usage where account_id = %s"
END_RESPONSES = "update gateway.stored_responses set expires_at = gateway.clock() where account_id = %s"
END_ANSWERS = "update gateway.replays set expires_at = gateway.clock() where account_id = %s"
LOCK_ACCOUNT = "select from gateway.accounts where id = %s for no key update"


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture
def scheduler(gateway: RunningGateway) -> Holder:
    return Holder(gateway, SECRET)


@pytest.fixture
def customer(tenant: Tenants) -> Tenant:
    return tenant()


@pytest.fixture
def owner(gateway: RunningGateway, customer: Tenant) -> Holder:
    return owner_of(gateway, customer)


def left(customer: Tenant, statement: str) -> int:
    ((count,),) = run_sql(customer.database_url, statement, customer.account_id)
    return int(count)


async def chat_of(owner: Holder, *, messages: int) -> str:
    """Store a chat with so many messages and return its path."""
    path = f"{SESSIONS}/{(await owner.call('POST', SESSIONS, {})).json['id']}"
    for _ in range(messages):
        said = await owner.call("POST", f"{path}/messages", {"role": "user", "content": "a quetzal"})
        assert said.status == 201, said.raw
    return path


async def delete(owner: Holder, *paths: str) -> None:
    for path in paths:
        assert (await owner.call("DELETE", path)).status == 204


async def test_deleted_chats_are_erased_and_no_others(scheduler: Holder, owner: Holder, customer: Tenant) -> None:
    kept, *gone = [await chat_of(owner, messages=3) for _ in range(3)]
    await delete(owner, *gone)
    assert left(customer, MESSAGES_LEFT) == 9
    answer = await scheduler.call("POST", JOB)
    assert (answer.status, answer.json["job"], answer.json["history_erased"] >= 8) == (200, "purge", True)
    assert (left(customer, SESSIONS_LEFT), left(customer, MESSAGES_LEFT)) == (1, 3)
    ((sessions, messages, size_bytes),) = run_sql(customer.database_url, COUNTED, customer.account_id)
    assert (sessions, messages, size_bytes > 0) == (1, 3, True)
    assert len((await owner.call("GET", kept)).json["messages"]["data"]) == 3
    assert (await scheduler.call("GET", JOB)).json["history_erased"] == 0


async def test_purges_at_once_erase_all_once(scheduler: Holder, gateway: RunningGateway, tenant: Tenants) -> None:
    await scheduler.call("POST", JOB)
    customers = [tenant() for _ in range(4)]
    for customer in customers:
        owner = owner_of(gateway, customer)
        await delete(owner, await chat_of(owner, messages=2))
    answers = await asyncio.gather(*(scheduler.call("POST", JOB) for _ in range(6)))
    assert {answer.status for answer in answers} == {200}
    # A purge that finds an account busy with another passes it over; three things of each account were there.
    await scheduler.call("POST", JOB)
    assert sum(answer.json["history_erased"] for answer in answers) <= 12
    assert [left(customer, SESSIONS_LEFT) + left(customer, MESSAGES_LEFT) for customer in customers] == [0] * 4


async def test_what_is_busy_holds_up_nobody_elses_and_is_the_next_purges(
    scheduler: Holder, gateway: RunningGateway, owner: Holder, customer: Tenant, tenant: Tenants
) -> None:
    other = tenant()
    others = owner_of(gateway, other)
    await delete(owner, await chat_of(owner, messages=2))
    await delete(others, await chat_of(others, messages=2))
    with psycopg.connect(customer.database_url) as session:
        session.execute(LOCK_ACCOUNT, (customer.account_id,))
        assert (await asyncio.wait_for(scheduler.call("POST", JOB), 10)).status == 200
        assert (left(customer, MESSAGES_LEFT), left(other, MESSAGES_LEFT)) == (2, 0)
    assert (await scheduler.call("POST", JOB)).json["history_erased"] == 3
    assert left(customer, SESSIONS_LEFT) == 0


async def test_stored_responses_and_kept_answers_are_erased_when_their_time_is_over(
    scheduler: Holder, owner: Holder, customer: Tenant, make_model: Models
) -> None:
    body: dict[str, Any] = {"model": make_model("tokens=2").id, "input": "hello"}
    stored = await owner.call("POST", RESPONSES, body, {"Idempotency-Key": "one"})
    assert stored.status == 200, stored.raw
    assert (await scheduler.call("POST", JOB)).status == 200
    assert (left(customer, RESPONSES_LEFT), left(customer, ANSWERS_LEFT)) == (1, 1)
    for statement in (END_RESPONSES, END_ANSWERS):
        run_sql(customer.database_url, statement, customer.account_id)
    assert (await scheduler.call("POST", JOB)).json["answers_erased"] >= 2
    assert (left(customer, RESPONSES_LEFT), left(customer, ANSWERS_LEFT)) == (0, 0)
    assert (await owner.call("GET", f"{RESPONSES}/{stored.json['id']}")).status == 404
    assert customer.books.broken_rules() == []


async def test_the_purge_is_a_command_too(stack: LocalStack, owner: Holder, customer: Tenant) -> None:
    await delete(owner, await chat_of(owner, messages=1))
    status, out, _ = await run_command(stack, "purge")
    assert (status, json.loads(out.splitlines()[-1])["history_erased"] >= 2) == (0, True)
    assert left(customer, SESSIONS_LEFT) == 0


async def test_a_purge_whose_store_is_away_fails_aloud(stack: LocalStack, scheduler: Holder) -> None:
    with stack.without("postgrest"):
        answer = await scheduler.call("POST", JOB)
    assert (answer.status, answer.error["code"]) == (503, "storage_unavailable")
