"""The database does what it is asked and its answer is lost: asked again it does nothing twice, and loses no secret."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from infra.local.stack import LocalStack
from tests.functions.keys.client import KEYS, Holder, outcome, owner_of, run_sql
from tests.functions.scheduled.test_jobs import start_command
from tests.functions.scheduled.test_key_rotation import MAKE_DUE, number_of
from tests.harness.gateways import Gateways
from tests.harness.tenants import Tenants
from tests.harness.wire import Exchange, Fault, Wire


@pytest.fixture
def wire(stack: LocalStack, open_wire: Callable[[str], Wire]) -> Wire:
    return open_wire(stack.supabase_url)


@pytest.fixture
def owner(wire: Wire, start_gateway: Gateways, tenant: Tenants) -> Holder:
    return owner_of(start_gateway(SUPABASE_URL=wire.url), tenant())


def losing(function: str) -> dict[str, Any]:
    def matches(exchange: Exchange) -> bool:
        return exchange.path.endswith(f"/rpc/{function}")

    return {"fault": Fault(drops_answer=True, matches=matches), "times": 1}


async def events(owner: Holder, key_id: str) -> list[str]:
    body = (await owner.call("GET", f"{KEYS}/audit-logs?key_id={key_id}")).json
    return [each["event"] for each in reversed(body["data"])]


async def test_a_key_is_made_once_and_its_secret_works(owner: Holder, wire: Wire) -> None:
    with wire.broken(**losing("create_key")):
        key = await owner.make(name="once")
    assert len(wire.exchanges("create_key")) == 2
    assert (await key.call("GET", "/v1/key")).json["id"] == key.id
    assert await events(owner, key.id) == ["key_created"]


async def test_a_key_is_rotated_once_and_the_secret_that_is_shown_is_the_one_that_works(
    owner: Holder, wire: Wire
) -> None:
    key = await owner.make()
    with wire.broken(**losing("rotate_key")):
        answer = await owner.call("POST", f"{KEYS}/{key.id}/rotate")
    assert (answer.status, "Idempotent-Replayed" in answer.headers) == (200, False)
    new = Holder(owner.gateway, answer.json["api_key"], key.id)
    assert (await new.call("GET", "/v1/key")).json["id"] == key.id
    assert await events(owner, key.id) == ["key_created", "key_rotated"]


async def test_a_key_that_rotates_itself_learns_its_secret_though_the_databases_answer_was_lost(
    owner: Holder, wire: Wire
) -> None:
    key = await owner.make(scopes=["keys:write"])
    with wire.broken(**losing("rotate_key")):
        answer = await key.call("POST", f"{KEYS}/{key.id}/rotate")
    assert len(wire.exchanges("rotate_key")) == 2
    assert (answer.status, "Idempotent-Replayed" in answer.headers) == (200, False)
    new = Holder(owner.gateway, answer.json["api_key"], key.id)
    assert (await new.call("GET", "/v1/key")).json["id"] == key.id
    assert outcome(await key.call("GET", "/v1/key")) == "invalid_api_key"
    assert await events(owner, key.id) == ["key_created", "key_rotated"]


async def test_a_secret_is_collected_though_the_first_answer_was_lost(
    owner: Holder, wire: Wire, stack: LocalStack
) -> None:
    key = await owner.make(rotate_every_days=7)
    run_sql(stack.database_url, MAKE_DUE, number_of(key))
    with wire.broken(**losing("rotate_due_key")):
        job = await start_command(stack, "key_rotation", SUPABASE_URL=wire.url)
        out, _ = await asyncio.wait_for(job.communicate(), 30)
    assert len(wire.exchanges("rotate_due_key")) == 2
    assert (job.returncode, b'"keys_rotated": 1' in out) == (0, True)
    with wire.broken(**losing("collect_key")):
        answer = await owner.call("POST", f"{KEYS}/{key.id}/collect")
    new = Holder(owner.gateway, answer.json["api_key"], key.id)
    assert (await new.call("GET", "/v1/key")).json["id"] == key.id
    assert outcome(await owner.call("POST", f"{KEYS}/{key.id}/collect")) == "no_secret_to_collect"
    assert await events(owner, key.id) == ["key_created", "key_rotated", "key_collected"]


async def test_a_key_is_changed_and_revoked_once(owner: Holder, wire: Wire) -> None:
    key = await owner.make()
    with wire.broken(**losing("update_key")):
        assert (await owner.change(key, max_requests=3))["max_requests"] == 3
    with wire.broken(**losing("revoke_key")):
        assert (await owner.call("DELETE", f"{KEYS}/{key.id}")).status == 204
    assert await events(owner, key.id) == ["key_created", "key_updated", "key_revoked"]


async def test_without_the_database_nothing_is_said_to_be_done(owner: Holder, wire: Wire) -> None:
    key = await owner.make()
    with wire.broken(Fault(status=500)):
        for method, path, body in (
            ("POST", KEYS, {"name": "new"}), ("PATCH", f"{KEYS}/{key.id}", {"name": "new"}),
            ("POST", f"{KEYS}/{key.id}/rotate", {}), ("DELETE", f"{KEYS}/{key.id}", None), ("GET", KEYS, None),
            ("GET", "/v1/key", None),
        ):  # fmt: skip
            answer = await owner.call(method, path, body)
            assert (answer.status, answer.error["code"]) == (503, "storage_unavailable")
    assert (await key.call("GET", "/v1/key")).status == 200
    assert await events(owner, key.id) == ["key_created"]
