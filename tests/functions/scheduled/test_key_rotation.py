"""The job that gives keys their new secrets when their time has come, and how their owners collect them."""

import asyncio
from collections.abc import Iterator

import psycopg
import pytest

from infra.local.stack import LocalStack
from shared.clients.fernet import Sealer
from tests.functions.keys.client import KEYS, Holder, outcome, owner_of, run_sql
from tests.functions.scheduled.test_jobs import AS_SCHEDULER, SECRET, call, run_command
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenants

ROTATION = "/internal/jobs/key_rotation"
MAKE_DUE = "update gateway.api_keys set rotates_at = clock_timestamp() - interval '1 second' where id = %s"
MAKE_DUE_AT = "update gateway.api_keys set rotates_at = %s where id = %s"
READ_SECRETS = """
    select expires_at - clock_timestamp() > interval '167 hours' from gateway.key_secrets
     where key_id = %s order by created_at
"""
READ_SEALED = "select pending_secret from gateway.api_keys where id = %s"


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture
def owner(gateway: RunningGateway, tenant: Tenants) -> Holder:
    return owner_of(gateway, tenant())


async def make_due(stack: LocalStack, owner: Holder) -> Holder:
    key = await owner.make(name="rotating", rotate_every_days=7)
    run_sql(stack.database_url, MAKE_DUE, number_of(key))
    return key


def number_of(key: Holder) -> int:
    return int(key.id.removeprefix("key_"))


async def rotate(gateway: RunningGateway) -> int:
    answer = await call(gateway, ROTATION, AS_SCHEDULER)
    assert answer.status == 200, answer.raw
    return int(answer.json["keys_rotated"])


async def test_a_due_key_gets_a_secret_that_its_owner_collects_once(
    gateway: RunningGateway, owner: Holder, stack: LocalStack, make_model: Models
) -> None:
    model, key = make_model(), await make_due(stack, owner)
    before = await owner.read(key)
    assert await rotate(gateway) == 1
    view = await owner.read(key)
    assert (view["has_new_secret"], view["masked"] != before["masked"]) == (True, True)
    assert view["rotates_at"] > before["created_at"]
    assert (await key.complete(model)).status == 200
    again = {"Idempotency-Key": "collection"}
    first = await owner.call("POST", f"{KEYS}/{key.id}/collect", headers=again)
    assert (first.status, first.headers["Cache-Control"]) == (200, "no-store")
    new = Holder(gateway, first.json["api_key"], key.id)
    assert view["masked"] == f"{new.secret[:12]}…{new.secret[-4:]}"
    assert [(await each.complete(model)).status for each in (key, new)] == [200, 200]
    assert outcome(await owner.call("POST", f"{KEYS}/{key.id}/collect")) == "no_secret_to_collect"
    replay = await owner.call("POST", f"{KEYS}/{key.id}/collect", headers=again)
    assert replay.json == first.json
    assert replay.headers["Idempotent-Replayed"] == "true"
    events = (await owner.call("GET", f"{KEYS}/audit-logs?key_id={key.id}")).json["data"]
    assert [(each["event"], each["actor"]) for each in events] == [
        ("key_collected", "key"), ("key_rotated", "system"), ("key_created", "key"),
    ]  # fmt: skip
    assert new.secret not in gateway.log_text()


async def test_jobs_at_once_rotate_each_key_once(gateway: RunningGateway, owner: Holder, stack: LocalStack) -> None:
    keys = []
    for number in range(5):
        keys.append(await owner.make(name=f"rotating {number}", rotate_every_days=7))
        run_sql(stack.database_url, MAKE_DUE, number_of(keys[-1]))
    counts = await asyncio.gather(*(rotate(gateway) for _ in range(6)))
    assert sum(counts) == 5
    for key in keys:
        assert run_sql(stack.database_url, READ_SECRETS, number_of(key)) == [(True,), (None,)]
    assert await rotate(gateway) == 0


async def test_what_waits_to_be_collected_lies_sealed(
    gateway: RunningGateway, owner: Holder, stack: LocalStack
) -> None:
    key = await make_due(stack, owner)
    await rotate(gateway)
    ((sealed,),) = run_sql(stack.database_url, READ_SEALED, number_of(key))
    secrets = (stack.credentials.gateway_secret,)
    assert Sealer(secrets, purpose="keys shown once").open(sealed) is None
    opened = Sealer(secrets, purpose="rotated keys").open(sealed)
    collected = (await owner.call("POST", f"{KEYS}/{key.id}/collect")).json["api_key"]
    assert opened == collected.encode()
    assert run_sql(stack.database_url, READ_SEALED, number_of(key)) == [(None,)]


async def test_a_key_with_fewer_scopes_does_not_collect_a_richer_keys_secret(
    gateway: RunningGateway, owner: Holder, stack: LocalStack
) -> None:
    key = await make_due(stack, owner)
    limited = await owner.make(name="limited", scopes=["keys:read", "keys:write"])
    await rotate(gateway)
    assert outcome(await limited.call("POST", f"{KEYS}/{key.id}/collect")) == "key_exceeds_yours"
    assert (await owner.call("POST", f"{KEYS}/{key.id}/collect")).json["api_key"] is not None


async def test_a_secret_sealed_under_a_retired_secret_of_ours_waits_until_that_is_back(
    gateway: RunningGateway, owner: Holder, stack: LocalStack, start_gateway: Gateways
) -> None:
    key = await make_due(stack, owner)
    await rotate(gateway)
    before = stack.credentials.gateway_secret
    other = start_gateway(SECRET_KEY=f"{'n' * 40},{before}")
    # The owner's key moves to the newest secret when it is used.
    assert (await owner.on(other).call("GET", "/v1/key")).status == 200
    retired = start_gateway(SECRET_KEY="n" * 40)
    refused = await owner.on(retired).call("POST", f"{KEYS}/{key.id}/collect")
    assert (refused.status, refused.error["code"]) == (409, "secret_cannot_be_opened")
    assert "/rotate" in refused.error["message"]
    collected = await owner.on(other).call("POST", f"{KEYS}/{key.id}/collect")
    new = Holder(other, collected.json["api_key"], key.id)
    assert (await new.call("GET", "/v1/key")).json["id"] == key.id


async def test_the_rotation_is_a_command_too(gateway: RunningGateway, owner: Holder, stack: LocalStack) -> None:
    key = await make_due(stack, owner)
    status, out, _ = await run_command(stack, "key_rotation")
    assert (status, b'"keys_rotated": 1' in out) == (0, True)
    assert (await owner.read(key))["has_new_secret"] is True


async def test_a_key_that_cannot_be_rotated_keeps_no_other_from_it_and_the_job_fails_at_its_end(
    owner: Holder, stack: LocalStack
) -> None:
    stuck, other = await owner.make(name="stuck", rotate_every_days=7), await owner.make(name="o", rotate_every_days=7)
    for key, due_at in ((stuck, "2000-01-01"), (other, "2000-01-02")):
        run_sql(stack.database_url, MAKE_DUE_AT, due_at, number_of(key))
    with psycopg.connect(stack.database_url) as session:
        session.execute("select from gateway.api_keys where id = %s for update", (number_of(stuck),))
        status, _, _ = await run_command(stack, "key_rotation")
    assert status != 0
    assert [(await owner.read(key))["has_new_secret"] for key in (stuck, other)] == [False, True]
    assert (await run_command(stack, "key_rotation"))[0] == 0
    assert (await owner.read(stuck))["has_new_secret"] is True


async def test_without_its_database_the_rotation_fails_aloud(gateway: RunningGateway, stack: LocalStack) -> None:
    with stack.without("postgrest"):
        answer = await call(gateway, ROTATION, AS_SCHEDULER)
    assert outcome(answer) == "storage_unavailable"
