"""Somebody who buys: at one gateway, from the Stripe double."""

import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import psycopg

from tests.functions.chat.client import Answer
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.stripe import StripeDouble
from tests.harness.tenants import Tenant, Tenants

CHECKOUT = "/billing/checkout"
NANOS_PER_CENT = 10_000_000
# Its own clock, so that a test may move it; the double's is moved with it.
MOVE_CLOCK = """
    create or replace function gateway.clock() returns timestamptz
    language sql volatile as $$ select clock_timestamp() + make_interval(secs => {}) $$
"""
MAKE_PLAN = """
    insert into gateway.plans (id, name, requests_per_minute, tokens_per_minute, concurrency,
                               monthly_price_cents, yearly_price_cents, monthly_allowance_nanos, rank, is_offered)
    values (%s, %s, 0, 0, 0, %s, %s, %s, %s, true)
"""
REPRICE = "update gateway.plans set monthly_price_cents = %s where id = %s"
READ_PLANS = "select plan_id, base_plan_id from gateway.accounts where id = %s"
READ_CUSTOMER = "select stripe_customer_id from gateway.accounts where id = %s"
READ_LOTS = """
    select kind, amount_nanos from gateway.lots
     where account_id = %s and (live_from is null or live_from <= gateway.clock()) order by id
"""


@dataclass(frozen=True, slots=True)
class Customer:
    """An account whose owner buys."""

    tenant: Tenant
    holder: Holder
    double: StripeDouble = field(repr=False)

    async def check_out(self, headers: dict[str, str] | None = None, **order: Any) -> Answer:
        """Ask to buy something."""
        return await self.holder.call("POST", CHECKOUT, order, headers)

    async def order(self, headers: dict[str, str] | None = None, **order: Any) -> dict[str, Any]:
        """Buy what must be for sale, and return the checkout."""
        answer = await self.check_out(headers, **order)
        assert answer.status == 200, answer.raw
        return answer.json

    async def order_plan(self, plan_id: str, interval: str = "month") -> dict[str, Any]:
        """Order a plan."""
        return await self.order(kind="plan", plan_id=plan_id, interval=interval)

    def pay(self, checkout: dict[str, Any], card: str = "visa") -> dict[str, Any]:
        """Pay at the page of a checkout, and wait until the gateway has been told."""
        session = self.double.pay(session_id(checkout), card)
        self.double.settle_down()
        return dict(session)

    def pay_in_vain(self, checkout: dict[str, Any]) -> None:
        """Try a card that is refused."""
        response = httpx.post(
            f"{self.double.url}/_control/sessions/{session_id(checkout)}/pay", json={"card": "chargeDeclined"}
        )
        assert response.status_code == 402
        self.double.settle_down()

    async def subscribe(self, plan_id: str, interval: str = "month") -> str:
        """Order a plan and pay for it; return the subscription's id."""
        checkout = await self.order_plan(plan_id, interval)
        assert checkout["status"] == "open"
        return str(self.pay(checkout)["subscription"])

    async def plan(self) -> dict[str, Any]:
        """Return what is told of the account's plan."""
        return await self.read("/user/plan")

    async def read(self, path: str) -> dict[str, Any]:
        """Return what must be answered."""
        answer = await self.holder.call("GET", path)
        assert answer.status == 200, answer.raw
        return answer.json

    @property
    def plans(self) -> tuple[str, str]:
        """The plan whose limits hold, and the one without a subscription."""
        ((effective, base),) = run_sql(self.tenant.database_url, READ_PLANS, self.tenant.account_id)
        return effective, base

    @property
    def credits(self) -> list[tuple[str, int]]:
        """What was given that may be spent by now: kind and cents of each lot."""
        rows = run_sql(self.tenant.database_url, READ_LOTS, self.tenant.account_id)
        return [(kind, nanos // NANOS_PER_CENT) for kind, nanos in rows]

    def at_stripe(self, subscription_id: str) -> dict[str, Any]:
        """Return a subscription as Stripe has it."""
        return dict(self.double.read(f"/subscriptions/{subscription_id}"))

    def pay_invoice(self, subscription_id: str) -> None:
        """Pay what is open of a subscription, with the card that is known by now."""
        (invoice,) = self.double.read("/invoices", subscription=subscription_id, status="open")["data"]
        headers = {"Authorization": "Bearer sk_test_local"}
        response = httpx.post(f"{self.double.url}/v1/invoices/{invoice['id']}/pay", headers=headers)
        assert response.status_code == 200, response.text
        self.double.settle_down()

    @property
    def stripe_customer(self) -> str:
        """Who the account is at Stripe."""
        ((customer_id,),) = run_sql(self.tenant.database_url, READ_CUSTOMER, self.tenant.account_id)
        return str(customer_id)

    def subscriptions(self) -> list[dict[str, Any]]:
        """Return the account's subscriptions at Stripe, ended ones too."""
        return list(self.double.read("/subscriptions", customer=self.stripe_customer, status="all")["data"])

    def check_books(self) -> None:
        """Have the books of the account re-added."""
        assert self.tenant.books.broken_rules() == []


@dataclass(frozen=True, slots=True)
class Market:
    """Where customers come from, with plans of its own: a price that is known here is none of another double."""

    gateway: RunningGateway
    double: StripeDouble
    tenants: Tenants = field(repr=False)
    small: str = field(default_factory=lambda: f"small-{secrets.token_hex(4)}")
    large: str = field(default_factory=lambda: f"large-{secrets.token_hex(4)}")

    def open(self) -> None:
        """Offer a plan of 29 USD a month and one of 99, with 25 and 90 USD of credit."""
        rank = 1_000 + 2 * secrets.randbelow(1_000_000)
        for plan_id, monthly, yearly, allowance, order in (
            (self.small, 2_900, 29_000, 25 * 10**9, rank),
            (self.large, 9_900, 99_000, 90 * 10**9, rank + 1),
        ):
            run_sql(self.tenants.database_url, MAKE_PLAN, plan_id, plan_id, monthly, yearly, allowance, order)

    def close(self) -> None:
        """Offer them no more."""
        run_sql(self.tenants.database_url, "update gateway.plans set is_offered = false where id = any (%s)",
                [self.small, self.large])  # fmt: skip
        self.move_clock(0)

    def reprice(self, plan_id: str, cents: int) -> None:
        """Have a plan cost something else a month from now on."""
        run_sql(self.tenants.database_url, REPRICE, cents, plan_id)

    def customer(self) -> Customer:
        """Make somebody who has nothing yet."""
        tenant = self.tenants(credit_nanos=0)
        return Customer(tenant, owner_of(self.gateway, tenant), self.double)

    def pass_days(self, days: float) -> None:
        """Move our clock and the double's on by so much; what falls due at Stripe on the way happens."""
        to = int(self.double.look("/clock")["now"] + days * 86_400)
        # Ours first: nothing that Stripe tells of is yet to come.
        self.move_clock(to - int(time.time()))
        self.double.control("/clock", to=to)
        self.double.settle_down()

    def pass_until(self, moment: str, *, but_hours: int) -> None:
        """Move both clocks to so many hours before a moment."""
        left_s = datetime.fromisoformat(moment).timestamp() - self.double.look("/clock")["now"]
        self.pass_days((left_s - but_hours * 3_600) / 86_400)

    def end_graces(self) -> None:
        """Do what the sweep does."""
        run_sql(self.tenants.database_url, "select api.end_graces(100)")

    def move_clock(self, ahead_s: int) -> None:
        """Have our database read a clock that is so far ahead."""
        with psycopg.connect(self.tenants.database_url, autocommit=True) as session:
            session.execute(MOVE_CLOCK.format(int(ahead_s)).encode())


def session_id(checkout: dict[str, Any]) -> str:
    """Return the session that a checkout is paid by."""
    return str(checkout["url"]).rsplit("/", 1)[-1]
