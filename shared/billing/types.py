"""What is bought and paid, as the SQL functions take it and tell it."""

import uuid
from typing import Literal

import msgspec

from shared.core.ids import AccountId
from shared.core.money import Nanos
from shared.core.verdicts import LimitsPolicy

Interval = Literal["month", "year"]
CheckoutKind = Literal["credits", "plan"]
PaymentStatus = Literal["processing", "succeeded", "failed", "partially_refunded", "refunded", "disputed"]
# inquiry: a bank asks, and takes nothing yet.
DisputeStatus = Literal["inquiry", "open", "won", "lost"]


class ChosenCheckout(msgspec.Struct, frozen=True, omit_defaults=True):
    """What somebody wants to buy: an amount of credits, or a plan; the id is ours to make."""

    id: uuid.UUID
    kind: CheckoutKind
    amount_cents: int | None = None
    plan_id: str | None = None
    interval: Interval | None = None


class Checkout(msgspec.Struct, frozen=True):
    """What is being bought, at the terms it was opened with; url is None until Stripe has made its session."""

    id: uuid.UUID
    kind: CheckoutKind
    amount_cents: int | None
    bonus_nanos: Nanos
    plan_id: str | None
    interval: Interval | None
    session_id: str | None
    url: str | None
    expires_at: str | None
    created_at: str


class ScheduledChange(msgspec.Struct, frozen=True):
    """The plan that a subscription changes to, and when."""

    plan_id: str
    interval: Interval
    at: str


class LiveSubscription(msgspec.Struct, frozen=True):
    """The subscription that an order of a plan would change, as gateway.told_subscription has it."""

    id: str
    item_id: str
    status: str
    stripe_price_id: str
    plan_id: str
    interval: Interval
    period_starts_at: str
    period_ends_at: str
    cancels_at: str | None
    scheduled: ScheduledChange | None
    grace_ends_at: str | None


class OpenedCheckout(msgspec.Struct, frozen=True, tag_field="verdict", tag="checkout"):
    """A checkout and what Stripe is asked for it; subscription: the one that an order of a plan would change."""

    checkout: Checkout
    account_id: AccountId
    customer_id: str | None
    email: str | None
    subscription: LiveSubscription | None
    is_replayed: bool
    policy: LimitsPolicy


class KeptCheckout(msgspec.Struct, frozen=True, tag_field="verdict", tag="checkout_kept"):
    """A checkout whose session is known: the first that was kept."""

    checkout: Checkout


class KeptCustomer(msgspec.Struct, frozen=True, tag_field="verdict", tag="customer"):
    """Who an account is at Stripe: the first that was kept."""

    customer_id: str


class PaymentPosted(msgspec.Struct, frozen=True, tag_field="verdict", tag="posted"):
    """The books say what Stripe says; fingerprints: what the limiter has to forget, since the plan has changed of late.

    shape   mails: some may have been written for this account
    """

    account_id: AccountId
    mails: bool
    fingerprints: tuple[str, ...]


class PaymentSuperseded(msgspec.Struct, frozen=True, tag_field="verdict", tag="superseded"):
    """What was read later is posted already: there is nothing left to do."""


class PaymentUnowned(msgspec.Struct, frozen=True, tag_field="verdict", tag="unowned"):
    """Nobody of ours has paid it; one that succeeded is laid aside for a person to look at."""


class RefundDue(msgspec.Struct, frozen=True, tag_field="verdict", tag="refund_due"):
    """Its account is deleted: nothing was given for it, and it has to be paid back."""

    account_id: AccountId
    payment_id: str


class Payment(msgspec.Struct, frozen=True):
    """A payment as its owner sees it.

    units   credit_nanos: what it bought, or the allowances that a plan's payment has given; cents with their tax
    """

    id: str
    kind: CheckoutKind
    status: PaymentStatus
    currency: str
    received_cents: int
    tax_cents: int
    refunded_cents: int
    disputed_cents: int
    dispute_status: DisputeStatus | None
    credit_nanos: Nanos
    bonus_nanos: Nanos
    checkout_id: uuid.UUID | None
    subscription_id: str | None
    invoice_id: str | None
    receipt_url: str | None
    paid_at: str | None
    created_at: str


class OwnPayment(msgspec.Struct, frozen=True, tag_field="verdict", tag="payment"):
    """One payment."""

    payment: Payment
    policy: LimitsPolicy


class OwnPayments(msgspec.Struct, frozen=True, tag_field="verdict", tag="payments"):
    """A page of payments, newest first."""

    payments: tuple[Payment, ...]
    has_more: bool
    policy: LimitsPolicy


class ReceivedEvent(msgspec.Struct, frozen=True, tag_field="verdict", tag="event"):
    """An event of Stripe's was written down; tries counts how often it came or was tried."""

    is_handled: bool
    tries: int


class UnhandledEvent(msgspec.Struct, frozen=True):
    """One that came and was not handled; hints: what to read at Stripe, such as `payment:pi_1`."""

    id: str
    type: str
    hints: tuple[str, ...]
    tries: int
