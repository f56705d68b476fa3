"""An event from Stripe: kept, looked at once, and whatever it hints at brought to what Stripe says now."""

from collections.abc import Sequence

from shared.billing.store import Payments
from shared.clients.stripe.events import Event, Hint, read_hint
from shared.core.errors import GatewayError
from shared.core.ids import AccountId
from shared.core.log import log_event
from shared.flows.sync_means import SyncMeans
from shared.flows.sync_payment import sync_payment
from shared.flows.sync_subscription import sync_subscription


async def handle_stripe_event(means: SyncMeans, event: Event) -> frozenset[AccountId]:
    """Do what an event asks for, once it is written down; return who has new e-mails.

    Delivered again, at once or days later, it changes nothing more. One that is about nothing of ours is not kept.

    raises  PaymentsUnavailable, StripeRefused, StoreUnavailable: the event stays unhandled, for Stripe's next attempt
            and for the sweep
    """
    if not event.hints:
        return frozenset()
    hints = [str(hint) for hint in event.hints]
    received = await means.payments.receive_event(event.id, event.type, hints, event.created_at)
    if received.is_handled:
        return frozenset()
    return await follow_hints(means, event.id, hints)


async def follow_hints(means: SyncMeans, event_id: str, hints: Sequence[str]) -> frozenset[AccountId]:
    """Synchronise what an event hinted at, as it is kept, and mark it as handled.

    raises  as handle_stripe_event, and HintUnreadable, after the reason is written down
    """
    written_to: frozenset[AccountId] = frozenset()
    try:
        for hint in hints:
            written_to |= await _follow(means, read_hint(hint))
    except GatewayError as error:
        await _note_failure(means.payments, event_id, error)
        raise
    await means.payments.finish_event(event_id)
    return written_to


async def _follow(means: SyncMeans, hint: Hint) -> frozenset[AccountId]:
    match hint.kind:
        case "payment":
            return await sync_payment(means, hint.id)
        case "subscription":
            return await sync_subscription(means, hint.id)
        case "invoice":
            return await _sync_invoice(means, hint.id)


async def _sync_invoice(means: SyncMeans, invoice_id: str) -> frozenset[AccountId]:
    """Synchronise what an invoice is for, and what has paid it."""
    invoice = await means.stripe.subscriptions.read_invoice(invoice_id)
    if invoice is None or invoice.subscription_id is None:
        log_event("invoice_of_nothing", level="warning", invoice_id=invoice_id)
        return frozenset()
    written_to = await sync_subscription(means, invoice.subscription_id)
    for payment_id in invoice.payment_ids:
        written_to |= await sync_payment(means, payment_id, synced=frozenset({invoice.subscription_id}))
    return written_to


async def _note_failure(payments: Payments, event_id: str, error: GatewayError) -> None:
    """Write down why; where even that fails the event is unhandled all the same."""
    try:
        await payments.fail_event(event_id, error.code)
    except GatewayError:
        log_event("event_failure_not_kept", level="error", event_id=event_id, reason=error.code)
