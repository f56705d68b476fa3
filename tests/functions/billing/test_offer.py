"""What is offered, and who sees what of plans, payments and the portal."""

from decimal import Decimal

import aiohttp

from functions.billing.app import app
from tests.functions.account.client import suspend, with_scopes
from tests.functions.billing.customer import Customer, Market
from tests.functions.chat.client import TIMEOUT
from tests.functions.keys.client import outcome, run_sql
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Tenants

ENFORCED = """
    select id, requests_per_minute, tokens_per_minute, concurrency,
           requests_per_day, tokens_per_day, requests_per_month, tokens_per_month,
           monthly_price_cents, yearly_price_cents, monthly_allowance_nanos
      from gateway.plans where is_offered order by rank
"""
LIMITS = (
    *("requests_per_minute", "tokens_per_minute", "concurrency"),
    *("requests_per_day", "tokens_per_day", "requests_per_month", "tokens_per_month"),
)


async def look(gateway: RunningGateway, path: str) -> tuple[int, dict[str, object], str | None]:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(gateway.url + path) as response:
        return response.status, await response.json(), response.headers.get("Cache-Control")


async def test_the_offer_is_what_is_enforced(seller: RunningGateway, tenant: Tenants) -> None:
    status, offer, cached = await look(seller, "/plans")
    assert (status, cached) == (200, "public, max-age=60, s-maxage=60")
    shown = [
        (
            plan["id"],
            *(plan["limits"][limit] for limit in LIMITS),
            *(plan["prices"][interval] and Decimal(plan["prices"][interval]) * 100 for interval in ("month", "year")),
            Decimal(plan["monthly_allowance"]) * 10**9,
        )
        for plan in offer["data"]  # type: ignore[attr-defined]
    ]
    enforced = [
        # 0 is no limit in a minute, and no price.
        tuple(None if value == 0 and index in {1, 2, 3, 8, 9} else value for index, value in enumerate(row))
        for row in run_sql(tenant.database_url, ENFORCED)
    ]
    assert shown == enforced
    assert {"free", "pay_as_you_go", "dev", "team"} <= {plan[0] for plan in shown}
    assert offer["credits"] == {
        "min_amount": "5.000000000",
        "max_amount": "5000.000000000",
        "bonuses": [
            {"min_amount": "100.000000000", "bonus_percent": "5"},
            {"min_amount": "500.000000000", "bonus_percent": "10"},
        ],
    }
    assert offer["trial"] == {"days": 3, "amount": "10.000000000"}


async def test_one_plan_is_shown_and_what_is_not_offered_is_unknown(market: Market) -> None:
    status, plan, _ = await look(market.gateway, f"/plans/{market.small}")
    assert (status, plan["prices"]) == (200, {"month": "29.000000000", "year": "290.000000000"})
    for plan_id in ("nothing", "Free", "free%00", "'", market.customer().plans[0]):
        status, refused, _ = await look(market.gateway, f"/plans/{plan_id}")
        assert (status, refused["error"]["code"]) == (404, "unknown_plan")  # type: ignore[index]


async def test_payments_are_listed_page_by_page_and_one_s_own_only(market: Market, customer: Customer) -> None:
    paid = []
    for amount in ("5", "6", "7"):
        paid.append(customer.pay(await customer.order(kind="credits", amount=amount))["payment_intent"])
    first = await customer.read("/billing/payments?limit=2")
    rest = await customer.read(f"/api/stripe/payments?limit=2&after={first['next']}")
    assert [each["id"] for each in first["data"] + rest["data"]] == paid[::-1]
    assert (first["has_more"], rest["has_more"], rest["next"]) == (True, False, None)
    assert await customer.read(f"/api/stripe/payments/{paid[0]}") == rest["data"][0]

    other = market.customer()
    assert (await other.read("/billing/payments"))["data"] == []
    assert (await other.read(f"/billing/payments?after={first['next']}"))["data"] == []
    for payment_id in (paid[0], "pi_nothing", "%00", "pi%20"):
        answer = await other.holder.call("GET", f"/billing/payments/{payment_id}")
        assert outcome(answer) == "payment_not_found"


async def test_a_refund_is_seen_in_its_payment(market: Market, customer: Customer) -> None:
    payment_id = customer.pay(await customer.order(kind="credits", amount="100"))["payment_intent"]
    market.double.control("/refunds", payment_intent=payment_id, amount=2_500)
    market.double.settle_down()
    payment = await customer.read(f"/billing/payments/{payment_id}")
    assert (payment["status"], payment["refunded"]) == ("partially_refunded", "25.000000000")
    assert (payment["amount"], payment["credit"], payment["bonus"]) == ("100.000000000", "100.000000000", "5.000000000")


def _last_calls(market: Market) -> list[str]:
    """Return what was asked of Stripe last; the double forgets the oldest."""
    return [call["path"] for call in market.double.look("/calls")["data"][-2:]]


async def test_the_portal_is_the_account_s_own(market: Market, customer: Customer) -> None:
    subscription_id = await customer.subscribe(market.small)
    opened = await customer.holder.call("POST", "/billing/portal", {})
    assert opened.status == 200, opened.raw
    assert opened.json["url"].startswith(f"{market.double.url}/p/session/")
    before, last = _last_calls(market)
    assert before != last == "/v1/billing_portal/sessions"
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(opened.json["url"], data={"action": "cancel", "subscription": subscription_id}) as page,
    ):
        assert page.status == 200, await page.text()
    market.double.settle_down()
    assert (await customer.plan())["status"] == "canceling"
    # Taken back here, although it was said there.
    assert (await customer.order_plan(market.small))["status"] == "changed"
    assert (await customer.holder.call("POST", "/billing/portal", {"return_url": "https://evil.example"})).status == 400


def test_what_may_be_left_out_of_a_request_is_described_so() -> None:
    paths = app.openapi()["paths"]
    required = {name: paths[name]["post"]["requestBody"]["required"] for name in ("/billing/portal", "/trials/start")}
    assert required == {"/billing/portal": False, "/trials/start": False}
    assert paths["/billing/checkout"]["post"]["requestBody"]["required"] is True
    # Each visit has a page of its own.
    assert "Idempotency-Key" not in str(paths["/billing/portal"])


async def test_who_has_bought_nothing_has_a_portal_too(customer: Customer) -> None:
    opened = await customer.holder.call("POST", "/billing/portal")
    assert opened.status == 200, opened.raw


async def test_who_is_suspended_may_pay(customer: Customer) -> None:
    suspend(customer.tenant)
    customer.pay(await customer.order(kind="credits", amount="25.00"))
    assert customer.credits == [("purchase", 2_500)]
    assert (await customer.holder.call("POST", "/billing/portal", {})).status == 200


async def test_whoever_may_only_look_buys_nothing(market: Market, customer: Customer) -> None:
    holder = with_scopes(market.gateway, customer.tenant, "billing:read")
    for path, body in (("/billing/checkout", {"kind": "credits", "amount": "25.00"}), ("/billing/portal", {})):
        assert outcome(await holder.call("POST", path, body)) == "missing_scope"
    assert market.double.look("/calls")["data"] == []


async def test_without_stripe_nothing_is_sold_and_all_else_is_answered(
    start_gateway: Gateways, tenant: Tenants
) -> None:
    gateway = start_gateway(STRIPE_SECRET_KEY=None, STRIPE_WEBHOOK_SECRET=None, STRIPE_URL=None)
    somebody = tenant(credit_nanos=0)
    holder = with_scopes(gateway, somebody, "billing:read")
    for path, body in (("/billing/checkout", {"kind": "credits", "amount": "25.00"}), ("/billing/portal", {})):
        # Who may not buy is told that, and not what the operator lacks.
        assert outcome(await holder.call("POST", path, body)) == "missing_scope"
    holder = with_scopes(gateway, somebody, "billing:read", "billing:write")
    for path, body in (("/billing/checkout", {"kind": "credits", "amount": "25.00"}), ("/billing/portal", {})):
        answer = await holder.call("POST", path, body)
        assert (answer.status, outcome(answer)) == (501, "not_configured")
    for path in ("/plans", "/user/plan", "/billing/payments"):
        assert (await holder.call("GET", path)).status == 200
