"""A shop for tests: accounts that buy at the Stripe double, and what the books say of it."""

import io
import json
import secrets
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import psycopg

from infra.local.environment import STRIPE_WEBHOOK_SECRET
from infra.local.stack import LocalStack
from infra.local.stripe_double.signatures import HEADER, sign
from shared.clients.stripe.client import Stripe
from shared.clients.stripe.facts import Interval
from shared.clients.stripe.sales import CreditsOrder, PlanOrder, PlanPrice
from tests.harness.gateways import RunningGateway
from tests.harness.stripe import StripeDouble
from tests.harness.tenants import Tenant, Tenants

PATH = "/webhooks/stripe"
TIMEOUT = aiohttp.ClientTimeout(total=60)
NANOS_PER_CENT = 10_000_000
KEEP_CUSTOMER = "select api.keep_customer(%s, %s)"
OPEN_CHECKOUT = """
    insert into gateway.checkouts (id, account_id, kind, amount_cents, bonus_nanos)
    values (%s, %s, 'credits', %s, gateway.bonus_nanos(%s))
"""
KEEP_PRICE = "select api.keep_plan_price(%s, %s, %s, %s)"
READ_PLAN = "select monthly_price_cents, yearly_price_cents, monthly_allowance_nanos from gateway.plans where id = %s"
READ_BALANCE = """
    select wallet.posted_nanos, wallet.owed_nanos, account.plan_id, account.base_plan_id, account.dispute_status
      from gateway.wallets as wallet join gateway.accounts as account on account.id = wallet.account_id
     where account.id = %s
"""
READ_LOTS = """
    select kind, amount_nanos, remaining_nanos, expires_at - live_from as lasts from gateway.lots
     where account_id = %s and source = %s order by id
"""
READ_EVENTS = "select id, handled_at is not null from gateway.stripe_events where id = any (%s)"


@dataclass(frozen=True, slots=True)
class Standing:
    """What the books say of an account."""

    posted_nanos: int
    owed_nanos: int
    plan_id: str
    base_plan_id: str
    dispute_status: str | None


@dataclass(frozen=True, slots=True)
class Buyer:
    """An account and who it is at Stripe."""

    tenant: Tenant
    customer_id: str

    @property
    def account_id(self) -> int:
        return self.tenant.account_id

    @property
    def standing(self) -> Standing:
        return Standing(*_row(self.tenant.database_url, READ_BALANCE, self.account_id))

    @property
    def cents(self) -> int:
        """What the account has less what it owes, in cents."""
        standing = self.standing
        nanos = standing.posted_nanos - standing.owed_nanos
        assert nanos % NANOS_PER_CENT == 0
        return nanos // NANOS_PER_CENT

    def lots(self, source: str) -> list[tuple[Any, ...]]:
        """Return what a payment has given: kind, amount, what remains, for how long."""
        return _rows(self.tenant.database_url, READ_LOTS, self.account_id, source)

    def check(self) -> None:
        """Have the books of the account re-added."""
        assert self.tenant.books.broken_rules() == []


@dataclass(frozen=True, slots=True)
class Shop:
    """What tests buy by: Stripe's API as the gateway calls it, the double's controls, and the gateway that is told."""

    stack: LocalStack = field(repr=False)
    double: StripeDouble
    stripe: Stripe
    gateway: RunningGateway
    tenants: Tenants = field(repr=False)

    async def buyer(self, **about: Any) -> Buyer:
        """Make an account that is a customer at Stripe."""
        tenant = self.tenants(**{"credit_nanos": 0, **about})
        customer_id = await self.stripe.sales.create_customer(f"user_{tenant.account_id}", None)
        _row(self.stack.database_url, KEEP_CUSTOMER, tenant.account_id, customer_id)
        return Buyer(tenant, customer_id)

    async def checkout(self, buyer: Buyer, cents: int) -> str:
        """Open the page where credits are paid for; return the session's id."""
        checkout_id = str(uuid.uuid4())
        self.run(OPEN_CHECKOUT, checkout_id, buyer.account_id, cents, cents)
        order = CreditsOrder(
            checkout_id=checkout_id,
            turn=checkout_id,
            customer_id=buyer.customer_id,
            amount_cents=cents,
            name="Credits",
            success_url="https://app.test/done",
            cancel_url="https://app.test/back",
        )
        return (await self.stripe.sales.open_credits_session(order)).id

    async def buy(self, buyer: Buyer, cents: int, card: str = "visa") -> str:
        """Buy credits; return the payment's id. What the double tells of it is on its way."""
        return str(self.double.pay(await self.checkout(buyer, cents), card)["payment_intent"])

    async def bought(self, buyer: Buyer, cents: int) -> str:
        """Buy credits and wait until the gateway knows."""
        payment_id = await self.buy(buyer, cents)
        self.double.settle_down()
        return payment_id

    async def price(self, plan_id: str, interval: Interval = "month") -> str:
        """Return the price at Stripe of a plan as it is sold now."""
        monthly, yearly, allowance = _row(self.stack.database_url, READ_PLAN, plan_id)
        cents = yearly if interval == "year" else monthly
        price = PlanPrice(
            plan_id=plan_id,
            name=plan_id,
            interval=interval,
            amount_cents=cents,
            monthly_allowance_nanos=allowance,
        )
        price_id = await self.stripe.sales.ensure_price(price)
        self.run(KEEP_PRICE, plan_id, interval, price_id, cents)
        return price_id

    async def subscribe(self, buyer: Buyer, plan_id: str = "dev", interval: Interval = "month") -> str:
        """Subscribe to a plan; return the subscription's id. What the double tells of it is on its way."""
        order = PlanOrder(
            checkout_id=str(uuid.uuid4()),
            turn=str(uuid.uuid4()),
            customer_id=buyer.customer_id,
            price_id=await self.price(plan_id, interval),
            success_url="https://app.test/done",
            cancel_url="https://app.test/back",
        )
        session = await self.stripe.sales.open_plan_session(order)
        return str(self.double.pay(session.id)["subscription"])

    def events(self, *types: str) -> list[dict[str, Any]]:
        """Return the double's events, oldest first; of these types, or all."""
        rows = self.double.read("/events", limit=100)["data"]
        return [row for row in reversed(rows) if not types or row["type"] in types]

    def handled(self, events: Sequence[dict[str, Any]]) -> dict[str, bool]:
        """Return which of the events are kept, and whether they are handled."""
        ids = [event["id"] for event in events]
        return dict(_rows(self.stack.database_url, READ_EVENTS, ids))

    def run(self, statement: str, *arguments: object) -> None:
        """Run a statement as the tables' owner."""
        with psycopg.connect(self.stack.database_url, autocommit=True) as session:
            session.execute(statement.encode(), arguments)

    def rows(self, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
        """Read tables as their owner."""
        return _rows(self.stack.database_url, statement, *arguments)


async def deliver(
    gateway: RunningGateway,
    event: dict[str, Any] | bytes,
    *,
    secret: str = STRIPE_WEBHOOK_SECRET,
    at: int,
    path: str = PATH,
) -> tuple[int, dict[str, Any]]:
    """Deliver an event signed at a time (unix seconds); return status and body of the answer."""
    body = event if isinstance(event, bytes) else json.dumps(event).encode()
    return await post(gateway, body, {HEADER: sign(body, secret, at)}, path)


async def post(
    gateway: RunningGateway, body: bytes, headers: dict[str, str], path: str = PATH
) -> tuple[int, dict[str, Any]]:
    """Post a body to the webhook; return status and body of the answer."""
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(gateway.url + path, data=io.BytesIO(body), headers=headers) as response,
    ):
        return response.status, json.loads(await response.read())


def some_id(prefix: str) -> str:
    """Return an id such as Stripe makes them, of nothing."""
    return f"{prefix}_{secrets.token_hex(12)}"


def _row(database_url: str, statement: str, *arguments: object) -> tuple[Any, ...]:
    (row,) = _rows(database_url, statement, *arguments)
    return row


def _rows(database_url: str, statement: str, *arguments: object) -> list[tuple[Any, ...]]:
    with psycopg.connect(database_url, autocommit=True) as session:
        return session.execute(statement.encode(), arguments).fetchall()
