"""What is shown of checkouts and payments: money as exact decimal strings in US dollars."""

from typing import Literal

import msgspec

from shared.billing.plan_changes import OutcomeStatus
from shared.billing.types import CheckoutKind, DisputeStatus, Interval, Payment, PaymentStatus
from shared.core.money import format_cents, format_dollars
from shared.flows.start_checkout import StartedCheckout


class CheckoutView(msgspec.Struct, kw_only=True):
    """POST /billing/checkout: url is where to pay, effective_at when a change comes that is scheduled."""

    id: str
    object: Literal["checkout"] = "checkout"
    kind: CheckoutKind
    status: OutcomeStatus
    url: str | None
    amount: str | None
    bonus: str | None
    plan_id: str | None
    interval: Interval | None
    expires_at: str | None
    effective_at: str | None


class PortalView(msgspec.Struct, kw_only=True):
    """POST /billing/portal."""

    object: Literal["portal"] = "portal"
    url: str


class PaymentView(msgspec.Struct, kw_only=True):
    """A payment: amount is what was paid with its tax, credit what it bought or its plan has given."""

    id: str
    object: Literal["payment"] = "payment"
    kind: CheckoutKind
    status: PaymentStatus
    currency: str
    amount: str
    tax: str
    refunded: str
    disputed: str
    dispute_status: DisputeStatus | None
    credit: str
    bonus: str
    checkout_id: str | None
    subscription_id: str | None
    invoice_id: str | None
    receipt_url: str | None
    paid_at: str | None
    created_at: str


def checkout_view(started: StartedCheckout) -> CheckoutView:
    """Show what is being bought and what came of it; a bonus is of credits alone."""
    checkout, outcome = started.checkout, started.outcome
    return CheckoutView(
        id=str(checkout.id),
        kind=checkout.kind,
        status=outcome.status,
        url=outcome.url,
        amount=None if outcome.amount_cents is None else format_cents(outcome.amount_cents),
        bonus=format_dollars(checkout.bonus_nanos) if checkout.kind == "credits" else None,
        plan_id=checkout.plan_id,
        interval=checkout.interval,
        expires_at=outcome.expires_at,
        effective_at=outcome.effective_at,
    )


def payment_view(payment: Payment) -> PaymentView:
    """Show a payment."""
    return PaymentView(
        id=payment.id,
        kind=payment.kind,
        status=payment.status,
        currency=payment.currency.upper(),
        amount=format_cents(payment.received_cents),
        tax=format_cents(payment.tax_cents),
        refunded=format_cents(payment.refunded_cents),
        disputed=format_cents(payment.disputed_cents),
        dispute_status=payment.dispute_status,
        credit=format_dollars(payment.credit_nanos),
        bonus=format_dollars(payment.bonus_nanos),
        checkout_id=None if payment.checkout_id is None else str(payment.checkout_id),
        subscription_id=payment.subscription_id,
        invoice_id=payment.invoice_id,
        receipt_url=payment.receipt_url,
        paid_at=payment.paid_at,
        created_at=payment.created_at,
    )
