"""What Stripe says of payments and subscriptions, as the ledger takes it: cents and unix seconds, no prose."""

from typing import Any, Literal

import msgspec

# unknown: neither a checkout nor an invoice of a subscription of ours led to it.
PaymentKind = Literal["credits", "plan", "unknown"]
Interval = Literal["month", "year"]


class Refund(msgspec.Struct, frozen=True):
    """Money on its way back, back, or come back to us (failed, canceled)."""

    id: str
    amount_cents: int
    status: str


class Dispute(msgspec.Struct, frozen=True):
    """A contested charge; is_withdrawn: Stripe has taken the money from us and not given it back."""

    id: str
    amount_cents: int
    status: str
    is_withdrawn: bool


class Payment(msgspec.Struct, frozen=True, kw_only=True):
    """A payment intent and all that hangs on it.

    shape   id: of the payment intent; bought_cents: without tax; card_fingerprint: Stripe's own name for the card
    units   cents of the currency; paid_at: unix seconds
    """

    id: str
    kind: PaymentKind
    customer_id: str | None
    checkout_id: str | None = None
    subscription_id: str | None = None
    invoice_id: str | None = None
    status: str
    currency: str
    received_cents: int
    tax_cents: int = 0
    bought_cents: int = 0
    refunds: tuple[Refund, ...] = ()
    disputes: tuple[Dispute, ...] = ()
    card_fingerprint: str | None = None
    receipt_url: str | None = None
    paid_at: int | None = None


class ListedPayment(msgspec.Struct, frozen=True):
    """A payment as far as a list tells of it; is_disputed: it is or was, whatever became of it."""

    id: str
    status: str
    received_cents: int
    refunded_cents: int
    is_disputed: bool


class ListedSubscription(msgspec.Struct, frozen=True):
    """A subscription as far as a list tells of it; paid_invoice_id: its newest invoice, None where that is not paid."""

    id: str
    status: str
    price_id: str
    period_ends_at: int
    cancels_at: int | None
    paid_invoice_id: str | None


class ScheduledPrice(msgspec.Struct, frozen=True):
    """What a subscription changes to, and when."""

    price_id: str
    at: int


class InvoiceLine(msgspec.Struct, frozen=True):
    """A part of an invoice."""

    id: str
    price_id: str | None
    starts_at: int
    ends_at: int
    amount_cents: int


class Invoice(msgspec.Struct, frozen=True):
    """An invoice of a subscription; payment_id: of the payment intent that paid it, None where credit did."""

    id: str
    status: str
    created: int
    paid_at: int | None
    payment_id: str | None
    amount_paid_cents: int
    amount_due_cents: int
    tax_cents: int
    lines: tuple[InvoiceLine, ...]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription with its invoices; schedule_id: of the schedule that manages it, whatever that holds."""

    id: str
    customer_id: str
    status: str
    item_id: str
    price_id: str
    period_starts_at: int
    period_ends_at: int
    anchor: int
    cancels_at: int | None
    ended_at: int | None
    scheduled: ScheduledPrice | None
    schedule_id: str | None
    invoices: tuple[Invoice, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Say it as the SQL function takes it."""
        facts: dict[str, Any] = msgspec.to_builtins(self)
        del facts["schedule_id"]
        return facts
