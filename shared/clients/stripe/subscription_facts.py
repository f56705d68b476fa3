"""Subscriptions and invoices at Stripe, put together as the books are told of them."""

from collections.abc import Sequence

from shared.clients.stripe.facts import Invoice, InvoiceLine, ListedSubscription, ScheduledPrice, Subscription
from shared.clients.stripe.payments import tax_of
from shared.clients.stripe.shapes import InvoiceShape, LineShape, ScheduleShape, SubscriptionShape

# Before it ends a subscription may still be charged, or give what was paid.
ENDED = frozenset({"canceled", "incomplete_expired"})


def describe_subscription(shape: SubscriptionShape, invoices: tuple[Invoice, ...]) -> Subscription:
    """Put together what the books are told of a subscription."""
    item = shape.items.data[0]
    schedule = shape.schedule if isinstance(shape.schedule, ScheduleShape) else None
    return Subscription(
        id=shape.id,
        customer_id=shape.customer,
        status=shape.status,
        item_id=item.id,
        price_id=item.price.id,
        period_starts_at=item.current_period_start,
        period_ends_at=item.current_period_end,
        anchor=shape.billing_cycle_anchor,
        cancels_at=_cancels_at(shape),
        ended_at=shape.ended_at,
        scheduled=_scheduled(schedule, item.price.id) if schedule else None,
        schedule_id=schedule.id if schedule else None,
        invoices=invoices,
    )


def list_subscription(shape: SubscriptionShape) -> ListedSubscription:
    """Return what a list that has the newest invoices tells of a subscription."""
    item = shape.items.data[0]
    newest = shape.latest_invoice if isinstance(shape.latest_invoice, InvoiceShape) else None
    return ListedSubscription(
        id=shape.id,
        status=shape.status,
        price_id=item.price.id,
        period_ends_at=item.current_period_end,
        cancels_at=_cancels_at(shape),
        paid_invoice_id=newest.id if newest and newest.status == "paid" else None,
    )


def _cancels_at(shape: SubscriptionShape) -> int | None:
    """Return when a subscription is going to end, by whichever of Stripe's two ways it was told to."""
    if shape.status in ENDED:
        return None
    return shape.cancel_at or (shape.items.data[0].current_period_end if shape.cancel_at_period_end else None)


def _scheduled(schedule: ScheduleShape, price_id: str) -> ScheduledPrice | None:
    """Return the first other price that a schedule comes to."""
    if schedule.current_phase is None:
        return None
    for phase in schedule.phases:
        if phase.start_date > schedule.current_phase.start_date and phase.items[0].price != price_id:
            return ScheduledPrice(phase.items[0].price, phase.start_date)
    return None


def _line(shape: LineShape) -> InvoiceLine:
    details = shape.pricing.price_details if shape.pricing else None
    return InvoiceLine(
        id=shape.id,
        price_id=details.price if details else None,
        starts_at=shape.period.start,
        ends_at=shape.period.end,
        amount_cents=shape.amount,
    )


def describe_invoice(invoice: InvoiceShape, lines: Sequence[LineShape]) -> Invoice:
    """Put together what the books are told of an invoice, with all its lines."""
    payments = invoice.payments.data if invoice.payments else ()
    paid_with = (each.payment.payment_intent for each in payments if each.status == "paid")
    return Invoice(
        id=invoice.id,
        status=invoice.status or "draft",
        created=invoice.created,
        paid_at=invoice.status_transitions.paid_at,
        payment_id=next((each for each in paid_with if each), None),
        amount_paid_cents=invoice.amount_paid,
        amount_due_cents=invoice.amount_due,
        # Credit with Stripe may have paid a part of it, and then of its tax.
        tax_cents=min(tax_of(invoice), invoice.amount_paid),
        lines=tuple(_line(each) for each in lines),
    )
