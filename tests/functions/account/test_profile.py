"""GET, PATCH and PUT /user/profile; GET and PUT /user/notifications/preferences."""

from typing import Any

import pytest

from tests.functions.account.client import change, owner_of, read, run_sql, with_scopes
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants

PROFILE = "/user/profile"
EMAILS = "/user/notifications/preferences"
READ_KEPT = "select count(*) filter (where answer is not null), count(*) from gateway.replays where account_id = %s"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
async def test_what_is_named_is_changed_and_the_rest_stays(
    gateway: RunningGateway, tenant: Tenants, method: str
) -> None:
    customer = tenant()
    holder = owner_of(gateway, customer)
    before = await read(holder, PROFILE)
    assert (before["id"], before["name"], before["email"]) == (f"user_{customer.account_id}", None, None)
    assert (before["zero_retention"], before["preferences"], before["status"]) == (False, {}, "active")
    preferences = {"theme": "dark", "rows": 50, "ratio": 0.5, "beta": True}
    named = await change(holder, method, PROFILE, name="  Ada Lovelace ", preferences=preferences)
    assert (named["name"], named["preferences"]) == ("Ada Lovelace", preferences)
    later = await change(holder, method, PROFILE, preferences={"theme": "light", "rows": None})
    assert later == {**named, "preferences": {"theme": "light", "ratio": 0.5, "beta": True}}
    assert (await change(holder, method, PROFILE, name=None))["name"] is None
    assert (await read(holder, PROFILE))["preferences"] == later["preferences"]


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"name": ""}, "name"),
        ({"name": "a" * 101}, "name"),
        ({"name": "a\u0000b"}, "name"),
        ({"name": "\ud800"}, "name"),
        ({"name": "  "}, "name"),
        ({"name": "a\u202eb"}, "name"),
        ({"name": "a\u0085b"}, "name"),
        ({"name": "\u200b"}, "name"),
        ({"name": 5}, "name"),
        ({"email": "ada@example.com"}, "email"),
        ({"zero_retention": "yes"}, "zero_retention"),
        ({"zero_retention": None}, "zero_retention"),
        ({"preferences": {"a": {"b": 1}}}, None),
        ({"preferences": {"a": "x" * 1001}}, None),
        ({"preferences": {"a": "\u0000"}}, None),
        ({"preferences": {"a": 2**70}}, None),
        ({"preferences": {"a b": 1}}, None),
        ({"preferences": {str(number): 1 for number in range(101)}}, "preferences"),
    ],
)
async def test_what_cannot_be_is_refused_by_name(
    gateway: RunningGateway, tenant: Tenants, body: dict[str, Any], param: str | None
) -> None:
    answer = await owner_of(gateway, tenant()).call("PATCH", PROFILE, body)
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
    assert param is None or answer.error["param"] == param


async def test_preferences_do_not_grow_without_end(gateway: RunningGateway, tenant: Tenants) -> None:
    holder = owner_of(gateway, tenant())
    for number in range(8):
        await change(holder, "PATCH", PROFILE, preferences={f"p{number}": "x" * 990})
    answer = await holder.call("PATCH", PROFILE, {"preferences": {"p8": "x" * 990}})
    assert (answer.status, answer.error["code"]) == (400, "preferences_too_large")
    assert len((await read(holder, PROFILE))["preferences"]) == 8


async def test_turning_retention_off_erases_what_is_kept_and_keeps_no_more(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=2")
    holder = owner_of(gateway, customer)
    first = await holder.complete(model, headers={"Idempotency-Key": "one"})
    assert first.status == 200
    assert run_sql(customer.database_url, READ_KEPT, customer.account_id) == [(1, 1)]
    assert (await change(holder, "PATCH", PROFILE, zero_retention=True))["zero_retention"] is True
    assert run_sql(customer.database_url, READ_KEPT, customer.account_id) == [(0, 1)]
    again = await holder.complete(model, headers={"Idempotency-Key": "one"})
    assert (again.status, again.error["code"]) == (409, "answer_not_stored")
    assert (await holder.complete(model, headers={"Idempotency-Key": "two"})).status == 200
    assert run_sql(customer.database_url, READ_KEPT, customer.account_id) == [(0, 2)]
    assert customer.books.broken_rules() == []


async def test_a_change_is_written_down_without_what_was_changed(gateway: RunningGateway, tenant: Tenants) -> None:
    customer = tenant()
    holder = owner_of(gateway, customer)
    await change(holder, "PATCH", PROFILE)
    await change(holder, "PATCH", PROFILE, name="Grace Hopper")
    rows = run_sql(
        customer.database_url,
        "select actor, key_id, details::text, request_id from gateway.audit_log"
        " where account_id = %s and event = 'profile_updated'",
        customer.account_id,
    )
    ((actor, key_id, details, request_id),) = rows
    assert (actor, key_id, details) == ("key", customer.key_id, '{"fields": ["name"]}')
    assert request_id.startswith("req_")


async def test_changing_needs_the_scope_for_it(gateway: RunningGateway, tenant: Tenants) -> None:
    holder = with_scopes(gateway, tenant(), "account:read")
    for method, path, body in (
        ("PATCH", PROFILE, {"name": "Ada"}),
        ("PUT", EMAILS, {"emails": {"news": True}}),
        ("POST", "/user/notifications/test", {}),
        ("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"}),
    ):
        answer = await holder.call(method, path, body)
        assert (answer.status, answer.error["code"]) == (403, "missing_scope"), path
    assert (await read(holder, PROFILE))["name"] is None


async def test_email_preferences_keep_what_is_not_named(gateway: RunningGateway, tenant: Tenants) -> None:
    holder = owner_of(gateway, tenant())
    default = {"low_balance": True, "trial": True, "payments": True, "keys": True, "usage_report": True}
    default["news"] = False
    assert await read(holder, EMAILS) == {"emails": default, "low_balance_threshold": None}
    await change(holder, "PUT", EMAILS, emails={"news": True, "trial": False}, low_balance_threshold="2.5")
    changed = await change(holder, "PUT", EMAILS, emails={"trial": True})
    assert changed == {"emails": {**default, "news": True}, "low_balance_threshold": "2.500000000"}
    cleared = await change(holder, "PUT", EMAILS, low_balance_threshold=None)
    assert cleared == {"emails": {**default, "news": True}, "low_balance_threshold": None}


@pytest.mark.parametrize(
    "body",
    [
        {"emails": {"spam": True}},
        {"emails": {"news": "yes"}},
        {"emails": None},
        {"low_balance_threshold": 5},
        {"low_balance_threshold": "-1"},
        {"low_balance_threshold": "1e3"},
        {"low_balance_threshold": "0.0000000001"},
        {"low_balance_threshold": "99999999"},
        {"threshold": "1"},
    ],
)
async def test_email_preferences_that_cannot_be_are_refused(
    gateway: RunningGateway, tenant: Tenants, body: dict[str, Any]
) -> None:
    answer = await owner_of(gateway, tenant()).call("PUT", EMAILS, body)
    assert (answer.status, answer.error["code"]) == (400, "invalid_request")
