"""Accounts as admins find, make and change them, and what follows for whoever has their keys."""

import secrets

import pytest

from shared.core.scopes import USER_SCOPES
from tests.functions.admin.people import Office, user_path
from tests.functions.keys.client import Holder, outcome, run_sql
from tests.harness.gateways import Gateways
from tests.harness.privy import PrivyTokens, new_privy_id

DEMOTE_ALL = "update gateway.accounts set role = 'user' where role = 'admin'"
SET_PERSON = "update gateway.accounts set privy_id = %s where id = %s"
FORGET_RECEIPTS = "delete from gateway.admin_receipts"


async def test_a_reseller_makes_an_account_with_a_key_that_calls_models_at_once(office: Office) -> None:
    external_id, model = f"shop:{secrets.token_hex(6)}", office.make_model("tokens=3")
    asked = {"external_id": external_id, "email": "ada@example.com", "name": "Ada"}
    answer = await office.operator.call("POST", "/admin/users", asked)
    assert answer.status == 201, answer.raw
    made, key = answer.json["user"], Holder(office.gateway, answer.json["api_key"])
    assert (answer.json["is_new_user"], made["external_id"], made["plan_id"]) == (True, external_id, "free")
    assert answer.json["key"]["scopes"] == list(USER_SCOPES)
    assert outcome(await key.complete(model)) == "insufficient_credits"
    await office.done("POST", f"/admin/users/{made['id']}/credits", {"amount": "1.00", "reason": "paid"})
    assert outcome(await key.complete(model)) == 200
    own = (await key.call("GET", "/user/balance")).json
    assert own["balance"] < "1"


async def test_the_same_external_id_finds_the_account_and_gives_another_secret_only_when_asked(office: Office) -> None:
    external_id = f"shop:{secrets.token_hex(6)}"
    first = await office.done("POST", "/admin/users", {"external_id": external_id}, 201)
    again = await office.done("POST", "/admin/create", {"external_id": external_id}, 201)
    assert (again["is_new_user"], again["key"], again["api_key"]) == (False, None, None)
    assert again["user"]["id"] == first["user"]["id"]
    old = Holder(office.gateway, first["api_key"])
    assert (await old.call("GET", "/v1/key")).status == 200
    lost = await office.done("POST", "/admin/users", {"external_id": external_id, "replace_key": True}, 201)
    assert (lost["is_new_user"], lost["key"]["id"]) == (False, first["key"]["id"])
    assert outcome(await old.call("GET", "/v1/key")) == "invalid_api_key"
    assert (await Holder(office.gateway, lost["api_key"]).call("GET", "/v1/key")).status == 200


async def test_a_secret_never_says_other_things_than_its_key_may_do(office: Office) -> None:
    body = {"external_id": f"shop:{secrets.token_hex(6)}"}
    first = await office.done("POST", "/admin/users", body, 201)
    key: dict[str, object] = {"environment": "test", "scopes": ["inference"]}
    least = {**body, "replace_key": True, "key": key}
    answer = await office.operator.call("POST", "/admin/users", least)
    assert (outcome(answer), answer.status, answer.error["param"]) == ("key_differs", 409, "key")
    assert outcome(await Holder(office.gateway, first["api_key"]).call("GET", "/v1/key")) == 200
    other = await office.done("POST", "/admin/users", {**least, "key": {**key, "name": "for tests"}}, 201)
    assert other["api_key"].startswith("gw_test_")
    assert (other["key"]["environment"], other["key"]["scopes"]) == ("test", ["inference"])
    assert outcome(await Holder(office.gateway, other["api_key"]).call("GET", "/user/balance")) == "missing_scope"


async def test_a_key_that_is_switched_off_gets_no_secret_that_would_be_refused(office: Office) -> None:
    body = {"external_id": f"shop:{secrets.token_hex(6)}"}
    first = await office.done("POST", "/admin/users", body, 201)
    off = "update gateway.api_keys set is_active = false where id = %s"
    run_sql(office.database_url, off, first["key"]["id"].removeprefix("key_"))
    answer = await office.operator.call("POST", "/admin/users", {**body, "replace_key": True})
    assert (outcome(answer), answer.status, answer.error["param"]) == ("key_not_active", 409, "key")
    assert "PATCH /user/api-keys/{id}" in answer.error["message"]


async def test_a_secret_is_shown_again_to_the_same_request_and_to_no_other(office: Office) -> None:
    asked, key = {"external_id": f"shop:{secrets.token_hex(6)}"}, {"Idempotency-Key": "one"}
    first = await office.operator.call("POST", "/admin/users", asked, key)
    again = await office.operator.call("POST", "/admin/create", asked, key)
    assert again.json == first.json
    assert again.json["api_key"].startswith("gw_live_")
    run_sql(office.database_url, "update gateway.admin_receipts set sealed_until = clock_timestamp()")
    later = await office.operator.call("POST", "/admin/users", asked, key)
    assert later.json == {**first.json, "api_key": None}


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "external_id"),
        ({"external_id": " a"}, "external_id"),
        ({"external_id": "a", "email": "a@b, c@d"}, "email"),
        ({"external_id": "a", "email": "a\0b@example.com"}, "email"),
        ({"external_id": "a", "email": "a\x1bb@example.com"}, "email"),
        ({"external_id": "a", "email": "a\ud800b@example.com"}, "email"),
        ({"external_id": "a", "plan_id": "no such plan"}, "plan_id"),
        ({"external_id": "a", "key": {"scopes": ["everything"]}}, "key.scopes[0]"),
        ({"external_id": "a", "role": "admin"}, "role"),
    ],
)
async def test_an_account_that_cannot_be_is_not_made(office: Office, body: dict[str, object], param: str) -> None:
    answer = await office.operator.call("POST", "/admin/users", body)
    assert (answer.status, answer.error["param"]) == (400, param)


async def test_an_account_of_no_plan_is_not_made(office: Office) -> None:
    answer = await office.operator.call("POST", "/admin/users", {"external_id": "never made", "plan_id": "none"})
    assert (answer.status, answer.error["code"]) == (404, "unknown_plan")
    assert (await office.done("GET", "/admin/users?q=never%20made"))["data"] == []


async def test_a_suspended_account_is_answered_by_no_model_at_any_gateway_until_it_is_reinstated(
    office: Office, start_gateway: Gateways
) -> None:
    (tenant, holder), model, elsewhere = office.customer(), office.make_model("tokens=2"), start_gateway()
    for one in (holder, holder.on(elsewhere)):
        assert outcome(await one.complete(model)) == 200
    user = await office.done("PATCH", user_path(tenant), {"status": "suspended"})
    assert (user["status"], user["standing"]) == ("suspended", "suspended")
    for one in (holder, holder.on(elsewhere)):
        assert outcome(await one.complete(model)) == "account_suspended"
    await office.done("PATCH", user_path(tenant), {"status": "active"})
    for one in (holder, holder.on(elsewhere)):
        assert outcome(await one.complete(model)) == 200


async def test_a_role_holds_at_once_for_a_key_and_for_a_sign_in(office: Office, privy: PrivyTokens) -> None:
    (tenant, holder), who = office.customer(), new_privy_id()
    run_sql(office.database_url, SET_PERSON, who, tenant.account_id)
    person = Holder(office.gateway, privy.access(who))
    assert (await person.call("POST", "/auth/privy", {"token": person.secret})).status == 200
    weak = await holder.make(name="weak", scopes=["inference", "account:read", "account:write"])
    staging = await holder.make(name="staging", environment="staging", scopes=list(USER_SCOPES))

    async def met() -> list[str | int]:
        return [outcome(await one.call("GET", "/admin/switches")) for one in (holder, person, weak, staging)]

    assert await met() == ["admin_required"] * 4
    await office.done("PATCH", user_path(tenant), {"role": "admin"})
    assert await met() == [200, 200, "admin_required", "admin_required"]
    assert "x-ratelimit-limit-requests" not in (await office.operator.call("GET", "/admin/switches")).headers
    office.admin()
    await office.done("PATCH", user_path(tenant), {"role": "user"})
    assert await met() == ["admin_required"] * 4


@pytest.mark.parametrize("change", [{"role": "user"}, {"status": "suspended"}])
async def test_the_last_admin_stays_one(office: Office, change: dict[str, str]) -> None:
    run_sql(office.database_url, DEMOTE_ALL)
    tenant, holder = office.customer()
    await office.done("PATCH", user_path(tenant), {"role": "admin"})
    answer = await office.operator.call("PATCH", user_path(tenant), change)
    assert (answer.status, answer.error["code"]) == (409, "last_admin")
    assert outcome(await holder.call("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"})) == "last_admin"
    office.admin()
    await office.done("PATCH", user_path(tenant), change)


async def test_credit_is_given_once_under_a_key_for_ever_and_taken_as_far_as_it_reaches(office: Office) -> None:
    tenant, _ = office.customer(credit_nanos=0)
    path, once = user_path(tenant, "/credits"), {"Idempotency-Key": "invoice-7"}
    body = {"amount": "2.5", "reason": "invoice 7"}
    assert (await office.operator.call("POST", path, body, once)).json["moved"] == "2.500000000"
    run_sql(office.database_url, FORGET_RECEIPTS)
    again = (await office.operator.call("POST", path, body, once)).json
    assert (again["is_repeated"], again["user"]["balance"]) == (True, "2.500000000")
    taken = await office.done("POST", path, {"amount": "-4", "reason": "a chargeback"})
    assert (taken["moved"], taken["owed"], taken["user"]["available"]) == ("-2.500000000", "1.500000000", "0.000000000")
    assert tenant.books.broken_rules() == []


@pytest.mark.parametrize("amount", ["0", "0.00", "1e3", "1,5", "1.0000000001", "1000001", 1, None, "+1", "NaN"])
async def test_an_amount_that_is_none_moves_nothing(office: Office, amount: object) -> None:
    tenant, _ = office.customer(credit_nanos=7)
    answer = await office.operator.call("POST", user_path(tenant, "/credits"), {"amount": amount, "reason": "why not"})
    assert (answer.status, answer.error["param"]) == (400, "amount")
    assert tenant.balance()["posted_nanos"] == 7


async def test_a_plans_limits_hold_for_the_next_request(office: Office) -> None:
    tenant, holder = office.customer()
    model = office.make_model("tokens=2")
    assert "x-ratelimit-limit-requests" not in (await holder.complete(model)).headers
    user = await office.done("POST", user_path(tenant, "/plan"), {"plan_id": "free"})
    assert (user["plan_id"], user["base_plan_id"]) == ("free", "free")
    ((most,),) = run_sql(office.database_url, "select requests_per_minute from gateway.plans where id = 'free'")
    assert (await holder.complete(model)).headers["x-ratelimit-limit-requests"] == str(most)


async def test_accounts_are_found_by_what_is_known_of_them(office: Office) -> None:
    name = f"shop:{secrets.token_hex(6)}"
    made = [
        (await office.done("POST", "/admin/users", {"external_id": f"{name}-{number}"}, 201))["user"]["id"]
        for number in range(3)
    ]
    await office.done("PATCH", f"/admin/users/{made[0]}", {"status": "suspended"})

    async def found(query: str) -> list[str]:
        return [user["id"] for user in (await office.done("GET", f"/admin/users?{query}"))["data"]]

    assert await found(f"q={name.upper()}") == made[::-1]
    assert await found(f"q={name}&status=suspended") == made[:1]
    assert await found(f"id={made[1]}") == [made[1]]
    assert await found(f"q=%25{name}") == []
    first = await office.done("GET", f"/admin/users?q={name}&limit=2")
    assert (first["has_more"], await found(f"q={name}&limit=2&after={first['next']}")) == (True, made[:1])
    assert (await office.done("GET", f"/admin/users/{made[2]}"))["external_id"] == f"{name}-2"


@pytest.mark.parametrize("query", ["status=gone", "role=king", "q=", "plan=a/b", "limit=0", "after=x", "id=7"])
async def test_a_wrong_question_is_told(office: Office, query: str) -> None:
    answer = await office.operator.call("GET", f"/admin/users?{query}")
    assert answer.status == (404 if query == "id=7" else 400)


async def test_without_an_admin_api_key_only_people_operate(office: Office, start_gateway: Gateways) -> None:
    gateway, admin = start_gateway(ADMIN_API_KEY=None), office.admin()
    assert outcome(await office.operator.on(gateway).call("GET", "/admin/switches")) == "invalid_api_key"
    assert outcome(await Holder(gateway, "").call("GET", "/admin/switches")) == "missing_api_key"
    assert outcome(await admin.on(gateway).call("GET", "/admin/switches")) == 200
