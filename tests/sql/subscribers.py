"""Subscribers of a test's own database, and what Stripe would say of their subscription while it lives."""

import itertools
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.sql.books import Books
from tests.sql.customers import Customer, make_customer
from tests.sql.plan_months import PaidTime, add_months

Interval = Literal["month", "year"]

SET_CUSTOMER = "update gateway.accounts set stripe_customer_id = %s, plan_id = %s, base_plan_id = %s where id = %s"
READ_PLAN = "select plan_id from gateway.accounts where id = %s"
READ_LOTS = """
    select amount_nanos, extract(epoch from live_from)::bigint, extract(epoch from expires_at)::bigint, source
      from gateway.lots where account_id = %s and kind = 'plan' order by live_from, expires_at, id
"""
MONTHS = {"month": 1, "year": 12}

_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class SoldPlan:
    """A plan with a price at Stripe for each interval, named `<plan>_<interval>`."""

    id: str
    cents: dict[Interval, int]
    monthly_nanos: int

    def price_id(self, interval: Interval) -> str:
        """Return what Stripe calls its price."""
        return f"price_{self.id}_{interval}"


DEV = SoldPlan("dev", {"month": 2_900, "year": 29_000}, 25_000_000_000)
TEAM = SoldPlan("team", {"month": 9_900, "year": 99_000}, 90_000_000_000)


def sell_plans(books: Books) -> None:
    """Give the plans that are seeded their prices at Stripe."""
    for plan in (DEV, TEAM):
        for interval, cents in plan.cents.items():
            price = {"plan_id": plan.id, "interval": interval, "stripe_price_id": plan.price_id(interval)}
            assert books.call("keep_plan_price", **price, amount_cents=cents)["verdict"] == "kept"


@dataclass(frozen=True, slots=True)
class Invoice:
    """An invoice of a subscription with the times that it charges for."""

    id: str
    created: int
    lines: tuple[dict[str, Any], ...]
    paid: tuple[PaidTime, ...]

    def told(self, *, is_paid: bool = True) -> dict[str, Any]:
        """Return the invoice as it is posted."""
        cents = max(0, sum(line["amount_cents"] for line in self.lines))
        return {
            "id": self.id,
            "status": "paid" if is_paid else "open",
            "created": self.created,
            "payment_id": f"pi_{self.id}" if is_paid and cents else None,
            "amount_paid_cents": cents if is_paid else 0,
            "amount_due_cents": cents,
            "tax_cents": 0,
            "lines": list(self.lines),
        }


@dataclass(slots=True)
class StripeSubscription:
    """A subscription as Stripe keeps it: renewals, upgrades with proration, a change from months to years."""

    customer_id: str
    plan: SoldPlan
    interval: Interval
    anchor: int
    id: str = field(default_factory=lambda: f"sub_{next(_numbers)}")
    status: str = "active"
    period: tuple[int, int] = (0, 0)
    cancels_at: int | None = None
    scheduled: dict[str, Any] | None = None
    invoices: list[Invoice] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._begin_period(self.anchor)
        self._invoice(self.anchor, [self._line(self.plan, *self.period)])

    def renew(self) -> None:
        """Begin the next period and charge for it."""
        self._begin_period(self.period[1])
        self._invoice(self.period[0], [self._line(self.plan, *self.period)])

    def upgrade(self, plan: SoldPlan, at: int) -> None:
        """Charge the rest of the period at the new plan's price, and credit that of the old one."""
        credit = self._line(self.plan, at, self.period[1], is_credit=True)
        self.plan = plan
        self._invoice(at, [credit, self._line(plan, at, self.period[1], is_proration=True)])

    def go_yearly(self, plan: SoldPlan, at: int) -> None:
        """Begin a year now, and credit the rest of the month."""
        credit = self._line(self.plan, at, self.period[1], is_credit=True)
        self.plan, self.interval, self.anchor = plan, "year", at
        self._begin_period(at)
        self._invoice(at, [credit, self._line(plan, *self.period)])

    def told(self, *, invoices: int | None = None, paid: Collection[str] | None = None, **other: Any) -> dict[str, Any]:
        """Return what is posted: the first so many invoices, of which those named are paid."""
        known = self.invoices[:invoices]
        return {
            "id": self.id,
            "customer_id": self.customer_id,
            "status": self.status,
            "item_id": f"si_{self.id}",
            "price_id": self.plan.price_id(self.interval),
            "period_starts_at": self.period[0],
            "period_ends_at": self.period[1],
            "anchor": known[-1].paid[-1].anchor if known else self.anchor,
            "cancels_at": self.cancels_at,
            "scheduled": self.scheduled,
            "invoices": [invoice.told(is_paid=paid is None or invoice.id in paid) for invoice in known],
            **other,
        }

    def _begin_period(self, at: int) -> None:
        months = MONTHS[self.interval]
        number = 0
        while add_months(self.anchor, number * months) <= at:
            number += 1
        self.period = (at, add_months(self.anchor, number * months))

    def _line(
        self, plan: SoldPlan, starts_at: int, ends_at: int, *, is_proration: bool = False, is_credit: bool = False
    ) -> dict[str, Any]:
        cents = plan.cents[self.interval]
        if is_proration or is_credit:
            cents = max(1, cents * (ends_at - starts_at) // (self.period[1] - self.period[0]))
        return {
            "id": f"il_{next(_numbers)}",
            "price_id": plan.price_id(self.interval),
            "starts_at": starts_at,
            "ends_at": ends_at,
            "amount_cents": -cents if is_credit else cents,
        }

    def _invoice(self, created: int, lines: list[dict[str, Any]]) -> None:
        line = lines[-1]
        paid = PaidTime(line["id"], self.plan.monthly_nanos, line["starts_at"], line["ends_at"], self.anchor)
        self.invoices.append(Invoice(f"in_{next(_numbers)}", created, tuple(lines), (paid,)))


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A customer whom Stripe knows."""

    customer: Customer
    customer_id: str

    @property
    def account_id(self) -> int:
        """Return the customer's account."""
        return self.customer.account_id

    def subscribe(self, plan: SoldPlan, interval: Interval, at: int) -> StripeSubscription:
        """Begin a subscription at Stripe, of which nobody has told us."""
        return StripeSubscription(self.customer_id, plan, interval, at)

    def post(self, told: dict[str, Any], *, claim: int | None = None) -> Any:
        """Post what Stripe says, as somebody who has just read it, or under an older claim."""
        books = self.customer.books
        claim = claim or books.call("claim_sync", object_id=told["id"])
        return books.call("post_subscription", claim=claim, subscription=told)

    def plan(self) -> str:
        """Return the plan whose limits hold."""
        return str(self.customer.books.value(READ_PLAN, self.account_id))

    def lots(self) -> list[tuple[int, int, int, str]]:
        """Return the allowances there are: amount, from, to, and the payment."""
        return self.customer.books.rows(READ_LOTS, self.account_id)


def make_subscriber(books: Books, *, plan_id: str = "free") -> Subscriber:
    """Make a customer on a plan without a subscription."""
    customer = make_customer(books)
    subscriber = Subscriber(customer, f"cus_{customer.account_id}")
    books.rows(SET_CUSTOMER, subscriber.customer_id, plan_id, plan_id, customer.account_id)
    return subscriber
