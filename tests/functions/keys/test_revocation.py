"""What ends a key, or one of its secrets, ends it for the very next request, wherever that comes in."""

import asyncio
import json
from collections.abc import Callable

import pytest

from infra.local.stack import LocalStack
from shared.keys.format import generate_secret
from tests.functions.keys.client import KEYS, Holder, outcome, owner_of, run_sql
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenants, TestModel
from tests.harness.wire import Wire

EXPIRE = "update gateway.api_keys set expires_at = clock_timestamp() where id = %s"
SUSPEND = """
    update gateway.accounts set status = 'suspended'
     where id = (select account_id from gateway.api_keys where id = %s)
"""
EXPIRE_SECRETS = (
    "update gateway.key_secrets set expires_at = clock_timestamp() where key_id = %s and expires_at is not null"
)
NO_GENERATION = "/v1/generations/gen_" + "0" * 32


@pytest.fixture(scope="module")
def model(make_model: Models) -> TestModel:
    return make_model()


async def everywhere(key: Holder, model: TestModel) -> set[str | int]:
    """Use a key on routes of several functions and return what it met."""
    return {
        outcome(await key.complete(model)),
        outcome(await key.call("GET", NO_GENERATION)),
        outcome(await key.call("GET", "/v1/key")),
        outcome(await key.call("GET", KEYS)),
        outcome(await key.call("POST", KEYS, {"name": "by it"})),
    }


def number_of(key: Holder) -> int:
    return int(key.id.removeprefix("key_"))


@pytest.mark.parametrize("how", ["revoked", "rotated", "switched off", "expired"])
async def test_the_next_request_is_refused_though_redis_still_has_the_keys_policy(
    owner: Holder, model: TestModel, stack: LocalStack, how: str
) -> None:
    key = await owner.make()
    # Used, so that the limiter lets it through without asking the database.
    assert (await key.complete(model)).status == 200
    match how:
        case "revoked":
            assert (await owner.call("DELETE", f"{KEYS}/{key.id}")).status == 204
        case "rotated":
            assert (await owner.call("POST", f"{KEYS}/{key.id}/rotate")).status == 200
        case "switched off":
            await owner.change(key, is_active=False)
        case _:
            run_sql(stack.database_url, EXPIRE, number_of(key))
    assert outcome(await key.complete(model)) == "invalid_api_key"
    assert await everywhere(key, model) == {"invalid_api_key"}


async def test_the_next_request_is_refused_even_if_redis_was_away_when_the_key_was_revoked(
    stack: LocalStack, start_gateway: Gateways, tenant: Tenants, model: TestModel, open_wire: Callable[[str], Wire]
) -> None:
    owner = owner_of(start_gateway(), tenant())
    key = await owner.make()
    assert (await key.complete(model)).status == 200
    nowhere = "http://127.0.0.1:9"
    cut_off = start_gateway(UPSTASH_REDIS_REST_URL=nowhere)
    assert (await owner.on(cut_off).call("DELETE", f"{KEYS}/{key.id}")).status == 204
    assert outcome(await key.complete(model)) == "invalid_api_key"


async def test_of_many_requests_none_that_begins_after_the_revocation_is_let_in(
    owner: Holder, model: TestModel
) -> None:
    key = await owner.make()
    assert (await key.complete(model)).status == 200
    revoked = asyncio.Event()

    async def use() -> list[str | int]:
        seen: list[str | int] = []
        for _ in range(12):
            is_after = revoked.is_set()
            answer = outcome(await key.complete(model))
            seen += [answer] if is_after else []
        return seen

    async def revoke() -> None:
        await asyncio.sleep(0.05)
        assert (await owner.call("DELETE", f"{KEYS}/{key.id}")).status == 204
        revoked.set()

    seen, *others = await asyncio.gather(use(), use(), use(), use(), revoke())
    after = [*seen, *(each for other in others if other for each in other)]
    assert set(after) == {"invalid_api_key"}


async def test_unknown_revoked_rotated_and_expired_keys_are_answered_alike(
    owner: Holder, gateway: RunningGateway, stack: LocalStack
) -> None:
    keys = {name: await owner.make(name=name) for name in ("revoked", "rotated", "expired", "switched off")}
    await owner.call("DELETE", f"{KEYS}/{keys['revoked'].id}")
    await owner.call("POST", f"{KEYS}/{keys['rotated'].id}/rotate")
    run_sql(stack.database_url, EXPIRE, number_of(keys["expired"]))
    await owner.change(keys["switched off"], is_active=False)
    keys["unknown"] = Holder(gateway, generate_secret("live"))
    answers = []
    for key in keys.values():
        answer = await key.call("GET", "/v1/key")
        body = answer.json
        body["error"].pop("request_id")
        headers = {name for name in answer.headers if name not in ("Date", "X-Request-Id")}
        answers.append((answer.status, json.dumps(body), frozenset(headers), answer.headers["WWW-Authenticate"]))
    assert len(set(answers)) == 1
    assert answers[0][0] == 401


async def test_a_key_that_is_switched_on_again_works_at_once(owner: Holder, model: TestModel) -> None:
    key = await owner.make()
    await owner.change(key, is_active=False)
    # Now the limiter knows of it that nobody knows it, for a minute.
    assert [outcome(await key.complete(model)) for _ in range(2)] == ["invalid_api_key"] * 2
    await owner.change(key, is_active=True)
    assert (await key.complete(model)).status == 200


async def test_with_an_overlap_both_secrets_work_and_after_it_the_new_one_alone(
    owner: Holder, model: TestModel, stack: LocalStack, gateway: RunningGateway
) -> None:
    key = await owner.make()
    answer = await owner.call("POST", f"{KEYS}/{key.id}/rotate", {"overlap_hours": 1})
    assert (answer.status, answer.headers["Cache-Control"], answer.json["id"]) == (200, "no-store", key.id)
    assert answer.json["old_secrets_until"] is not None
    new = Holder(gateway, answer.json["api_key"], key.id)
    assert new.secret != key.secret
    assert [(await each.complete(model)).status for each in (key, new)] == [200, 200]
    assert (await owner.read(key))["requests_used"] == 2
    run_sql(stack.database_url, EXPIRE_SECRETS, number_of(key))
    assert [outcome(await each.complete(model)) for each in (key, new)] == ["invalid_api_key", 200]


async def test_a_rotation_sent_again_is_made_once_and_shows_its_secret_again(owner: Holder) -> None:
    key = await owner.make()
    again = {"Idempotency-Key": "rotation"}
    first, replay = [await owner.call("POST", f"{KEYS}/{key.id}/rotate", {"overlap_hours": 0}, again) for _ in range(2)]
    assert first.json == replay.json
    assert replay.headers["Idempotent-Replayed"] == "true"
    other = await owner.call("POST", f"{KEYS}/{key.id}/rotate", {"overlap_hours": 1}, again)
    assert outcome(other) == "idempotency_key_reused"


async def test_a_key_may_rotate_and_end_itself(owner: Holder, gateway: RunningGateway) -> None:
    key = await owner.make(scopes=["keys:write"])
    answer = await key.call("POST", f"{KEYS}/{key.id}/rotate")
    new = Holder(gateway, answer.json["api_key"], key.id)
    assert outcome(await key.call("GET", "/v1/key")) == "invalid_api_key"
    assert (await new.call("DELETE", f"{KEYS}/{key.id}")).status == 204
    assert outcome(await new.call("GET", "/v1/key")) == "invalid_api_key"


async def test_a_revoked_key_is_gone_its_name_free_and_revoking_again_harmless(owner: Holder) -> None:
    key = await owner.make(name="ci")
    assert [(await owner.call("DELETE", f"{KEYS}/{key.id}")).status for _ in range(2)] == [204, 204]
    assert outcome(await owner.call("GET", f"{KEYS}/{key.id}")) == "key_not_found"
    assert outcome(await owner.call("PATCH", f"{KEYS}/{key.id}", {"is_active": True})) == "key_not_found"
    assert [each["id"] for each in (await owner.call("GET", KEYS)).json["data"]] == [owner.id]
    assert (await owner.make(name="ci")).id != key.id


async def test_new_limits_hold_for_the_next_request(owner: Holder, model: TestModel) -> None:
    key = await owner.make()
    assert [(await key.complete(model)).status for _ in range(3)] == [200] * 3
    await owner.change(key, limits={"requests_per_minute": 1})
    assert outcome(await key.complete(model)) == "rate_limit_requests"
    await owner.change(key, limits={"requests_per_minute": 100})
    answer = await key.complete(model)
    assert (answer.status, answer.headers["x-ratelimit-limit-requests"]) == (200, "100")


@pytest.mark.parametrize("hours", [-1, 169, 1.5, "1", None, True])
async def test_an_overlap_is_a_week_at_most(owner: Holder, hours: object) -> None:
    key = await owner.make()
    answer = await owner.call("POST", f"{KEYS}/{key.id}/rotate", {"overlap_hours": hours})
    assert (outcome(answer), answer.error["param"]) == ("invalid_request", "overlap_hours")
    assert (await key.call("GET", "/v1/key")).status == 200


async def test_a_suspended_owner_ends_a_leaked_key_and_does_nothing_else(
    owner: Holder, model: TestModel, stack: LocalStack
) -> None:
    key = await owner.make()
    assert (await key.complete(model)).status == 200
    run_sql(stack.database_url, SUSPEND, number_of(owner))
    for method, path, body in (
        ("POST", KEYS, {"name": "new"}), ("PATCH", f"{KEYS}/{key.id}", {"name": "new"}),
        ("POST", f"{KEYS}/{key.id}/rotate", {}),
    ):  # fmt: skip
        assert outcome(await owner.call(method, path, body)) == "account_suspended"
    assert (await owner.call("DELETE", f"{KEYS}/{key.id}")).status == 204
    assert outcome(await key.call("GET", "/v1/key")) == "invalid_api_key"


async def test_a_replay_shows_no_secret_of_a_key_that_was_revoked_since(owner: Holder) -> None:
    again = {"Idempotency-Key": "deploy"}
    first = await owner.create(name="deploy", headers=again)
    assert (await owner.call("DELETE", f"{KEYS}/{first.json['id']}")).status == 204
    replay = await owner.create(name="deploy", headers=again)
    assert (replay.status, replay.headers["Idempotent-Replayed"]) == (201, "true")
    assert (replay.json["id"], replay.json["api_key"]) == (first.json["id"], None)


async def test_a_replay_shows_no_secret_to_a_weaker_key_than_the_key_is_by_now(owner: Holder) -> None:
    again = {"Idempotency-Key": "widened"}
    weak = await owner.make(name="weak", scopes=["inference", "keys:write"])
    first = await owner.create(name="widened", scopes=["inference"], headers=again)
    made = Holder(owner.gateway, first.json["api_key"], first.json["id"])
    await owner.change(made, scopes=["inference", "billing:write"])
    refused = await weak.create(name="widened", scopes=["inference"], headers=again)
    assert (outcome(refused), made.secret in refused.raw.decode()) == ("key_exceeds_yours", False)
