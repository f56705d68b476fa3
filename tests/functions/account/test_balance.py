"""GET /user/balance."""

import secrets
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from tests.functions.account.client import owner_of, read, run_sql, suspend, with_scopes
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants

CREDIT = "select api.credit_account(%s, %s, %s, %s, null, %s, %s)"
HOLD_OF = """
    select api.admit(%s, jsonb_build_object('key_hmacs', array[encode(secret.key_hmac, 'hex')], 'scope', 'inference'),
                     array[%s], null, '{"input_tokens": 1000, "images": 0, "choices": 1, "output_tokens": 0,
                     "reasoning_output_tokens": 0, "is_cheapest_only": false}', 60)
      from gateway.key_secrets as secret where key_id = %s
"""


def _credit(
    tenant: Tenant, nanos: int, kind: str, *, starts: timedelta | None = None, ends: timedelta | None = None
) -> None:
    now = datetime.now(UTC)
    times = [None if each is None else now + each for each in (starts, ends)]
    run_sql(tenant.database_url, CREDIT, tenant.account_id, nanos, kind, secrets.token_hex(8), *times)


async def test_amounts_are_exact_and_those_of_the_ledger(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(credit_nanos=1_234_567_891)
    model = make_model(input_usd_per_mtok=3)
    run_sql(
        customer.database_url, HOLD_OF, "00000000-0000-4000-8000-" + secrets.token_hex(6), model.id, customer.key_id
    )
    shown = await read(owner_of(gateway, customer), "/user/balance")
    assert (shown["balance"], shown["held"], shown["available"]) == ("1.234567891", "0.003000000", "1.231567891")
    assert (shown["owed"], shown["currency"], shown["status"]) == ("0.000000000", "USD", "active")
    ledger = customer.balance()
    for name, field in (("balance", "posted_nanos"), ("held", "held_nanos"), ("available", "available_nanos")):
        assert int(Decimal(shown[name]) * 10**9) == ledger[field]
    assert "trial" not in shown


async def test_expired_credit_and_overdue_holds_are_gone_without_a_sweep(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(credit_nanos=0), make_model(input_usd_per_mtok=3)
    _credit(customer, 5_000_000, "promo", ends=timedelta(seconds=-1))
    _credit(customer, 7_000_000, "purchase")
    run_sql(
        customer.database_url, HOLD_OF, "00000000-0000-4000-8000-" + secrets.token_hex(6), model.id, customer.key_id
    )
    holder = owner_of(gateway, customer)
    assert (await read(holder, "/user/balance"))["held"] == "0.003000000"
    customer.books.make_holds_overdue()
    shown = await read(holder, "/user/balance")
    assert (shown["balance"], shown["held"], shown["available"]) == ("0.007000000", "0.000000000", "0.007000000")
    assert customer.books.broken_rules() == []


async def test_grants_are_told_by_origin_and_life(gateway: RunningGateway, tenant: Tenants) -> None:
    customer = tenant(credit_nanos=0)
    for _ in range(3):
        _credit(customer, 1_000_000_000, "purchase")
    _credit(customer, 2_000_000_000, "plan", starts=timedelta(days=10), ends=timedelta(days=40))
    _credit(customer, 500_000_000, "promo", ends=timedelta(days=5))
    shown = await read(owner_of(gateway, customer), "/user/balance")
    told = [(each["kind"], each["remaining"], each["live_from"] is None) for each in shown["grants"]]
    assert told == [
        ("promo", "0.500000000", True),
        ("purchase", "3.000000000", True),
        ("plan", "2.000000000", False),
    ]
    assert (shown["balance"], shown["available"]) == ("5.500000000", "3.500000000")
    assert shown["has_more_grants"] is False


async def test_a_trial_is_told_until_something_is_bought(gateway: RunningGateway, tenant: Tenants) -> None:
    customer = tenant(credit_nanos=0)
    _credit(customer, 10_000_000_000, "trial", ends=timedelta(days=3))
    holder = owner_of(gateway, customer)
    shown = await read(holder, "/user/balance")
    assert (shown["status"], shown["trial"]["remaining"]) == ("trial", "10.000000000")
    assert datetime.fromisoformat(shown["trial"]["ends_at"]) > datetime.now(UTC) + timedelta(days=2)
    _credit(customer, 1, "purchase")
    assert (await read(holder, "/user/balance"))["status"] == "active"


async def test_a_suspended_account_still_sees_its_balance_and_nothing_can_be_changed(
    gateway: RunningGateway, tenant: Tenants
) -> None:
    customer = tenant()
    holder = owner_of(gateway, customer)
    suspend(customer)
    shown = await read(holder, "/user/balance")
    assert (shown["status"], shown["balance"]) == ("suspended", "10.000000000")
    for path in ("/user/profile", "/user/limits", "/user/transactions", "/user/activity", "/user/activity/stats"):
        await read(holder, path)
    for method, path, body in (
        ("PATCH", "/user/profile", {"name": "Ada"}),
        ("PATCH", "/user/profile", {"zero_retention": True}),
        ("DELETE", "/user/account", {"confirmation": "DELETE_ACCOUNT"}),
    ):
        refused = await holder.call(method, path, body)
        assert (refused.status, refused.error["code"]) == (403, "account_suspended")


@pytest.mark.parametrize(
    "path",
    [
        "/user/balance",
        "/user/profile",
        "/user/limits",
        "/user/limit",
        "/user/transactions",
        "/user/credit-transactions",
        "/user/activity",
        "/user/activity/log",
        "/user/activity/stats",
        "/user/notifications/preferences",
    ],
)
async def test_what_is_read_needs_its_scope_and_a_key_and_is_kept_by_nobody(
    gateway: RunningGateway, tenant: Tenants, path: str
) -> None:
    customer = tenant()
    refused = await with_scopes(gateway, customer, "inference", "account:write").call("GET", path)
    assert (refused.status, refused.error["code"]) == (403, "missing_scope")
    allowed = await with_scopes(gateway, customer, "account:read").call("GET", path)
    assert (allowed.status, allowed.headers["Cache-Control"]) == (200, "no-store")
    unknown = await owner_of(gateway, customer).call("GET", path, headers={"Authorization": "Bearer gw_live_no"})
    assert (unknown.status, unknown.error["code"]) == (401, "invalid_api_key")
