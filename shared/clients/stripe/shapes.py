"""The fields of Stripe's objects that are read here, by Stripe's names for them."""

import msgspec


class CardDetails(msgspec.Struct, frozen=True):
    """Of a charge: the card it was made with."""

    fingerprint: str | None = None


class MethodDetails(msgspec.Struct, frozen=True):
    """Of a charge: how it was made."""

    card: CardDetails | None = None


class ChargeShape(msgspec.Struct, frozen=True):
    """The last attempt of a payment intent."""

    created: int
    paid: bool
    amount_refunded: int
    disputed: bool
    receipt_url: str | None = None
    payment_method_details: MethodDetails | None = None


class IntentShape(msgspec.Struct, frozen=True):
    """A payment intent with its charge."""

    id: str
    status: str
    currency: str
    amount_received: int
    created: int
    customer: str | None = None
    latest_charge: ChargeShape | str | None = None


class TotalDetails(msgspec.Struct, frozen=True):
    """What of a session's total is no price."""

    amount_tax: int = 0


class SessionShape(msgspec.Struct, frozen=True):
    """A Checkout session."""

    id: str
    mode: str
    status: str | None = None
    url: str | None = None
    expires_at: int | None = None
    client_reference_id: str | None = None
    customer: str | None = None
    amount_subtotal: int | None = None
    total_details: TotalDetails | None = None


class RefundShape(msgspec.Struct, frozen=True):
    """A refund."""

    id: str
    amount: int
    status: str | None = None
    payment_intent: str | None = None


class BalanceShape(msgspec.Struct, frozen=True):
    """Money that moved on our account at Stripe; negative where it left."""

    amount: int


class DisputeShape(msgspec.Struct, frozen=True):
    """A dispute."""

    id: str
    amount: int
    status: str
    payment_intent: str | None = None
    balance_transactions: tuple[BalanceShape, ...] = ()


class PaidWith(msgspec.Struct, frozen=True):
    """What pays an invoice."""

    payment_intent: str | None = None


class InvoicePaymentShape(msgspec.Struct, frozen=True):
    """An invoice's payment."""

    id: str
    invoice: str
    status: str
    payment: PaidWith


class TaxShape(msgspec.Struct, frozen=True):
    """A tax on an invoice."""

    amount: int


class OfSubscription(msgspec.Struct, frozen=True):
    """Which subscription an invoice, or a line, belongs to."""

    subscription: str | None = None


class InvoiceParent(msgspec.Struct, frozen=True):
    """What an invoice is made for."""

    subscription_details: OfSubscription | None = None


class PriceDetails(msgspec.Struct, frozen=True):
    """The price of a line."""

    price: str | None = None


class Pricing(msgspec.Struct, frozen=True):
    """How a line's amount came about."""

    price_details: PriceDetails | None = None


class Period(msgspec.Struct, frozen=True):
    """From when to when a line pays."""

    start: int
    end: int


class LineShape(msgspec.Struct, frozen=True):
    """A line of an invoice."""

    id: str
    amount: int
    period: Period
    pricing: Pricing | None = None


class Lines(msgspec.Struct, frozen=True):
    """The first lines of an invoice."""

    data: tuple[LineShape, ...]
    has_more: bool


class Payments(msgspec.Struct, frozen=True):
    """The payments of an invoice, where they were asked for."""

    data: tuple[InvoicePaymentShape, ...] = ()


class Transitions(msgspec.Struct, frozen=True):
    """When an invoice came to be what it is."""

    paid_at: int | None = None


class InvoiceShape(msgspec.Struct, frozen=True):
    """An invoice."""

    id: str
    status: str | None
    created: int
    amount_due: int
    amount_paid: int
    lines: Lines
    status_transitions: Transitions
    customer: str | None = None
    total_taxes: tuple[TaxShape, ...] | None = None
    parent: InvoiceParent | None = None
    payments: Payments | None = None
    hosted_invoice_url: str | None = None


class Id(msgspec.Struct, frozen=True):
    """An object of which the name is enough."""

    id: str


class CustomerShape(msgspec.Struct, frozen=True):
    """A customer; of one that was deleted hardly more is left than that."""

    id: str
    deleted: bool = False


class ItemShape(msgspec.Struct, frozen=True):
    """What is subscribed to, and the period that is paid."""

    id: str
    price: Id
    current_period_start: int
    current_period_end: int


class Items(msgspec.Struct, frozen=True):
    """The items of a subscription."""

    data: tuple[ItemShape, ...]


class PhaseItem(msgspec.Struct, frozen=True):
    """What a phase of a schedule is for."""

    price: str


class PhaseShape(msgspec.Struct, frozen=True):
    """A phase of a schedule."""

    start_date: int
    end_date: int
    items: tuple[PhaseItem, ...]


class CurrentPhase(msgspec.Struct, frozen=True):
    """The phase that a schedule is in."""

    start_date: int
    end_date: int


class ScheduleShape(msgspec.Struct, frozen=True):
    """What a subscription will change to."""

    id: str
    phases: tuple[PhaseShape, ...] = ()
    current_phase: CurrentPhase | None = None


class SubscriptionShape(msgspec.Struct, frozen=True):
    """A subscription with its schedule."""

    id: str
    customer: str
    status: str
    items: Items
    billing_cycle_anchor: int
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    ended_at: int | None = None
    schedule: ScheduleShape | str | None = None
    pending_update: dict[str, object] | None = None
    latest_invoice: InvoiceShape | str | None = None


class Address(msgspec.Struct, frozen=True):
    """An object with a page, such as a session of the portal."""

    id: str
    url: str


class ConfigurationShape(msgspec.Struct, frozen=True):
    """A configuration of the portal."""

    id: str
    metadata: dict[str, str] | None = None
