"""What is shown of keys: the one in use, what each has used, and who did what to them."""

import pytest

from infra.local.stack import LocalStack
from tests.functions.auth.client import sign_in
from tests.functions.keys.client import KEYS, Holder, outcome, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.privy import PrivyTokens, new_privy_id
from tests.harness.tenants import Models, PlanLimits, Tenants

SUSPEND = "update gateway.accounts set status = 'suspended' where id = %s"
READ_EVENTS = "select event from gateway.audit_log where account_id = %s order by id"


async def test_the_key_in_use_tells_of_itself_and_of_the_limits_in_force(
    gateway: RunningGateway, tenant: Tenants
) -> None:
    limits = PlanLimits(requests_per_minute=50, tokens_per_minute=9_000)
    owner = owner_of(gateway, tenant(limits=limits))
    key = await owner.make(
        name="narrow", scopes=["models:read"], max_requests=7, expires_in_days=3, rotate_every_days=7,
        spend_limit={"amount": "2", "period": "week"}, limits={"requests_per_minute": 10, "concurrency": 3},
    )  # fmt: skip
    answer = await key.call("GET", "/v1/key")
    own = answer.json
    in_force = own.pop("limits_in_force")
    assert own.pop("kind") == "api_key"
    assert own == await owner.read(key)
    assert in_force == {"requests_per_minute": 10, "tokens_per_minute": 9_000, "concurrency": 3}
    assert answer.headers["x-ratelimit-limit-requests"] == "10"
    assert (own["requests_remaining"], own["spend_limit"]["remaining"]) == (7, "2.000000000")


async def test_every_kind_of_key_may_look_at_itself(owner: Holder, gateway: RunningGateway, tenant: Tenants) -> None:
    for environment in ("live", "test", "staging", "development"):
        key = await owner.make(name=environment, environment=environment)
        own = (await key.call("GET", "/v1/key")).json
        assert (own["id"], own["environment"]) == (key.id, environment)
    customer = tenant()
    suspended = owner_of(gateway, customer)
    run_sql(customer.database_url, SUSPEND, customer.account_id)
    assert (await suspended.call("GET", "/v1/key")).json["id"] == suspended.id
    assert (await suspended.call("GET", KEYS)).status == 200
    assert outcome(await suspended.create()) == "account_suspended"


async def test_someone_signed_in_manages_his_keys_and_is_no_key_himself(
    gateway: RunningGateway, privy: PrivyTokens
) -> None:
    privy_id = new_privy_id()
    token = privy.access(privy_id)
    first_secret = (await sign_in(gateway, token=token)).json["api_key"]
    person = Holder(gateway, token)
    own = (await person.call("GET", "/v1/key")).json
    assert (own["kind"], own["masked"], "keys:write" in own["scopes"]) == ("session", None, True)
    (first,) = (await person.call("GET", KEYS)).json["data"]
    assert first["id"] == (await Holder(gateway, first_secret).call("GET", "/v1/key")).json["id"]
    made = await person.make(name="mine", scopes=["inference", "billing:write"])
    for method, suffix, body in (
        ("GET", "", None), ("PATCH", "", {"is_active": False}), ("DELETE", "", None), ("POST", "/rotate", {}),
        ("POST", "/collect", None),
    ):  # fmt: skip
        assert outcome(await person.call(method, f"{KEYS}/{own['id']}{suffix}", body)) == "key_not_found"
    usage = (await person.call("GET", f"{KEYS}/usage")).json["data"]
    assert own["id"] not in {each["id"] for each in usage}
    (event,) = (await person.call("GET", f"{KEYS}/audit-logs?key_id={made.id}")).json["data"]
    assert (event["actor"], event["actor_key_id"], event["event"]) == ("user", None, "key_created")


async def test_usage_adds_up_to_what_was_charged_and_shows_what_is_left(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=4")
    owner = owner_of(gateway, customer)
    key = await owner.make(name="busy", max_requests=5, spend_limit={"amount": "1"})
    for _ in range(2):
        assert (await key.complete(model)).status == 200
    body = (await owner.call("GET", f"{KEYS}/usage")).json
    idle, busy = body["data"]
    charged = sum(line.charged_nanos for line in customer.books.usage_lines())
    assert (idle["id"], idle["requests"], idle["tokens"], idle["spend"]) == (owner.id, 0, 0, "0.000000000")
    assert (busy["id"], busy["requests"], busy["output_tokens"]) == (key.id, 2, 8)
    assert busy["tokens"] == busy["input_tokens"] + 8
    assert busy["spend"] == f"0.{charged:09d}"
    assert (busy["requests_remaining"], busy["spend_remaining"]) == (3, f"0.{10**9 - charged:09d}")
    page = (await owner.call("GET", f"{KEYS}/usage?limit=1&days=1")).json
    assert ([each["id"] for each in page["data"]], page["has_more"]) == ([owner.id], True)
    rest = (await owner.call("GET", f"{KEYS}/usage?limit=1&days=1&after={page['next']}")).json
    assert ([each["id"] for each in rest["data"]], rest["has_more"]) == ([key.id], False)


@pytest.mark.parametrize("days", ["0", "91", "-1", "x", "1.5", "", "٣"])
async def test_usage_of_no_number_of_days_is_refused(owner: Holder, days: str) -> None:
    answer = await owner.call("GET", f"{KEYS}/usage?days={days}")
    assert (outcome(answer), answer.error["param"]) == ("invalid_request", "days")


async def test_the_audit_log_tells_who_did_what_to_which_key_of_the_own_account(
    owner: Holder, gateway: RunningGateway, tenant: Tenants
) -> None:
    stranger = owner_of(gateway, tenant())
    theirs = await stranger.make()
    helper = await owner.make(name="helper", scopes=["keys:read", "keys:write", "inference"])
    created = await helper.create(name="subject", scopes=["inference"])
    key = Holder(gateway, created.json["api_key"], created.json["id"])
    await owner.change(key, name="renamed", max_requests=4)
    await owner.call("POST", f"{KEYS}/{key.id}/rotate", {"overlap_hours": 2})
    await helper.call("DELETE", f"{KEYS}/{key.id}")
    events = (await owner.call("GET", f"{KEYS}/audit-logs?key_id={key.id}")).json["data"]
    assert [(each["event"], each["actor_key_id"]) for each in events] == [
        ("key_revoked", helper.id), ("key_rotated", owner.id), ("key_updated", owner.id), ("key_created", helper.id),
    ]  # fmt: skip
    assert {(each["address"], each["key_id"], each["key_name"]) for each in events} == {
        ("127.0.0.1", key.id, "renamed")
    }
    assert events[-1]["request_id"] == created.headers["X-Request-Id"]
    assert events[2]["details"]["changed"] == ["max_requests", "name"]
    assert events[1]["details"] == {"overlap_hours": 2}
    every = (await owner.call("GET", f"{KEYS}/audit-logs")).json["data"]
    assert [each["key_id"] for each in every] == [key.id] * 4 + [helper.id]
    page = (await owner.call("GET", f"{KEYS}/audit-logs?limit=2")).json
    rest = (await owner.call("GET", f"{KEYS}/audit-logs?after={page['next']}")).json
    assert [*page["data"], *rest["data"]] == every
    for named in (theirs.id, "key_999999999"):
        assert (await owner.call("GET", f"{KEYS}/audit-logs?key_id={named}")).json["data"] == []


async def test_what_is_refused_is_written_down_as_nothing_done(
    owner: Holder, stack: LocalStack, gateway: RunningGateway, tenant: Tenants
) -> None:
    customer = tenant()
    stranger = owner_of(gateway, customer)
    key = await owner.make()
    await stranger.call("DELETE", f"{KEYS}/{key.id}")
    await stranger.create(name=customer_name(await stranger.call("GET", "/v1/key")))
    assert run_sql(stack.database_url, READ_EVENTS, customer.account_id) == [("credit_changed",)]


def customer_name(answer: object) -> str:
    return str(answer.json["name"])  # type: ignore[attr-defined]
