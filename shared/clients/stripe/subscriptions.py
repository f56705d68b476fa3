"""Subscriptions at Stripe: read with their invoices, changed now or at the period's end, ended."""

from typing import TYPE_CHECKING, Any, cast

import msgspec

from shared.clients.stripe.facts import (
    Interval,
    Invoice,
    ListedSubscription,
    Subscription,
)
from shared.clients.stripe.payments import MISSING, subscription_of
from shared.clients.stripe.shapes import (
    Id,
    InvoiceShape,
    LineShape,
    ScheduleShape,
    SubscriptionShape,
)
from shared.clients.stripe.subscription_facts import (
    ENDED,
    describe_invoice,
    describe_subscription,
    list_subscription,
)
from shared.clients.stripe.wire import PAGE_SIZE, StripeRefused, StripeWire, together

if TYPE_CHECKING:
    from stripe import V1Services


class Upgrade(msgspec.Struct, frozen=True):
    """What became of an upgrade: done where is_pending is false; else it comes when invoice_url has been paid."""

    is_pending: bool
    invoice_url: str | None


class InvoiceOrigin(msgspec.Struct, frozen=True):
    """What an invoice is for, and what has paid it."""

    subscription_id: str | None
    payment_ids: tuple[str, ...]


class StripeSubscriptions:
    """The subscriptions of one account at Stripe. The methods that change one take it as it was read.

    policy  closed: PaymentsUnavailable, StripeRefused; a retry with the same key is safe within 24 hours
    """

    def __init__(self, wire: StripeWire) -> None:
        self._wire = wire

    async def read(self, subscription_id: str) -> Subscription | None:
        """Read a subscription as it is now, with its invoices; None where there is none of this id."""
        try:
            shape, invoices = await together(self._retrieve(subscription_id), self._list_invoices(subscription_id))
        except StripeRefused as refusal:
            if refusal.reason == MISSING:
                return None
            raise
        described = [await self._describe_invoice(each) for each in cast("tuple[InvoiceShape, ...]", invoices)]
        return describe_subscription(cast("SubscriptionShape", shape), tuple(described))

    async def list_live(self, customer_id: str) -> tuple[str, ...]:
        """Return the ids of a customer's subscriptions that have not ended."""

        def list_page(services: "V1Services", after: str | None) -> Any:
            params: Any = {"customer": customer_id, "limit": PAGE_SIZE}
            return services.subscriptions.list_async(params | ({"starting_after": after} if after else {}))

        return tuple(each.id for each in await self._wire.ask_all(list_page, Id))

    async def list_all_live(self) -> tuple[ListedSubscription, ...]:
        """Return all subscriptions that have not ended."""

        def list_page(services: "V1Services", after: str | None) -> Any:
            params: Any = {"limit": PAGE_SIZE, "expand": ["data.latest_invoice"]}
            return services.subscriptions.list_async(params | ({"starting_after": after} if after else {}))

        return tuple(list_subscription(each) for each in await self._wire.ask_most(list_page, SubscriptionShape))

    async def read_invoice(self, invoice_id: str) -> InvoiceOrigin | None:
        """Tell what an invoice is for; None where there is none of this id."""

        async def retrieve(services: "V1Services") -> Any:
            return await services.invoices.retrieve_async(invoice_id, {"expand": ["payments"]})

        try:
            invoice = await self._wire.ask(retrieve, InvoiceShape)
        except StripeRefused as refusal:
            if refusal.reason == MISSING:
                return None
            raise
        paid_with = (each.payment.payment_intent for each in invoice.payments.data) if invoice.payments else ()
        return InvoiceOrigin(subscription_of(invoice), tuple(each for each in paid_with if each))

    async def upgrade(self, subscription: Subscription, price_id: str, *, key: str) -> Upgrade:
        """Change to a price now and charge the difference for the rest of the period; what was to come is dropped.

        Where the charge fails nothing changes until the invoice is paid: who has canceled, say, is not charged again.
        """

        async def update(services: "V1Services") -> Any:
            params: Any = {
                "items": [{"id": subscription.item_id, "price": price_id, "quantity": 1}],
                "proration_behavior": "always_invoice",
                "payment_behavior": "pending_if_incomplete",
                "expand": ["latest_invoice"],
            }
            return await services.subscriptions.update_async(subscription.id, params, _once(f"upgrade:{key}"))

        changed = await self._wire.ask(update, SubscriptionShape)
        invoice = changed.latest_invoice if isinstance(changed.latest_invoice, InvoiceShape) else None
        is_pending = changed.pending_update is not None
        if not is_pending:
            await self.keep(subscription)
        return Upgrade(is_pending, invoice.hosted_invoice_url if is_pending and invoice else None)

    async def schedule(self, subscription: Subscription, price_id: str, interval: Interval, *, key: str) -> None:
        """Change to a price when the period ends; a change or an end that was to come before is dropped."""
        if subscription.schedule_id is None:
            await self._set_canceling(subscription, is_canceling=False)
        schedule = await self._take_schedule(subscription, key)
        current = _current_phase(schedule)

        async def update(services: "V1Services") -> Any:
            coming = {"items": [{"price": price_id, "quantity": 1}], "duration": {"interval": interval}}
            now = {"items": [{"price": current.price_id, "quantity": 1}], "start_date": current.starts_at}
            params: Any = {
                "phases": [now | {"end_date": current.ends_at}, coming],
                "end_behavior": "release",
                "proration_behavior": "none",
            }
            return await services.subscription_schedules.update_async(schedule.id, params)

        await self._wire.ask(update, Id)

    async def cancel_at_period_end(self, subscription: Subscription) -> None:
        """Have a subscription end with the period that is paid; a change that was to come before is dropped."""
        await self._release(subscription)
        await self._set_canceling(subscription, is_canceling=True)

    async def keep(self, subscription: Subscription) -> None:
        """Drop whatever was to come: a change, or the end."""
        await self._release(subscription)
        if subscription.cancels_at is not None:
            await self._set_canceling(subscription, is_canceling=False)

    async def cancel_now(self, subscription_id: str) -> None:
        """End a subscription at once, unless it has ended; nothing is given back by it."""

        async def cancel(services: "V1Services") -> Any:
            return await services.subscriptions.cancel_async(subscription_id)

        try:
            await self._wire.ask(cancel, Id)
        except StripeRefused:
            found = await self.read(subscription_id)
            if found is not None and found.status not in ENDED:
                raise

    async def _retrieve(self, subscription_id: str) -> SubscriptionShape:
        async def retrieve(services: "V1Services") -> Any:
            return await services.subscriptions.retrieve_async(subscription_id, {"expand": ["schedule"]})

        return await self._wire.ask(retrieve, SubscriptionShape)

    async def _list_invoices(self, subscription_id: str) -> tuple[InvoiceShape, ...]:
        def list_page(services: "V1Services", after: str | None) -> Any:
            params: Any = {"subscription": subscription_id, "limit": PAGE_SIZE, "expand": ["data.payments"]}
            return services.invoices.list_async(params | ({"starting_after": after} if after else {}))

        return await self._wire.ask_all(list_page, InvoiceShape)

    async def _describe_invoice(self, invoice: InvoiceShape) -> Invoice:
        lines = await self._list_lines(invoice.id) if invoice.lines.has_more else invoice.lines.data
        return describe_invoice(invoice, lines)

    async def _list_lines(self, invoice_id: str) -> tuple[LineShape, ...]:
        def list_page(services: "V1Services", after: str | None) -> Any:
            params: Any = {"limit": PAGE_SIZE} | ({"starting_after": after} if after else {})
            return services.invoices.line_items.list_async(invoice_id, params)

        return await self._wire.ask_all(list_page, LineShape)

    async def _take_schedule(self, subscription: Subscription, key: str) -> ScheduleShape:
        """Return the schedule that manages the subscription, made where there is none."""

        async def take(services: "V1Services") -> Any:
            if subscription.schedule_id is not None:
                return await services.subscription_schedules.retrieve_async(subscription.schedule_id)
            params: Any = {"from_subscription": subscription.id}
            return await services.subscription_schedules.create_async(params, _once(f"schedule:{key}"))

        return await self._wire.ask(take, ScheduleShape)

    async def _release(self, subscription: Subscription) -> None:
        """Let a subscription go on as it is, without its schedule."""
        schedule_id = subscription.schedule_id
        if schedule_id is None:
            return

        async def release(services: "V1Services") -> Any:
            return await services.subscription_schedules.release_async(schedule_id)

        try:
            await self._wire.ask(release, Id)
        except StripeRefused:
            # It may have ended, or been released by a first attempt.
            if (await self._retrieve(subscription.id)).schedule is not None:
                raise

    async def _set_canceling(self, subscription: Subscription, *, is_canceling: bool) -> None:
        async def update(services: "V1Services") -> Any:
            return await services.subscriptions.update_async(subscription.id, {"cancel_at_period_end": is_canceling})

        await self._wire.ask(update, Id)


class _Phase(msgspec.Struct, frozen=True):
    price_id: str
    starts_at: int
    ends_at: int


def _current_phase(schedule: ScheduleShape) -> _Phase:
    """Return the phase that the subscription is in.

    raises  ValueError for a schedule that is in none: it has ended since it was read
    """
    current = schedule.current_phase
    for phase in schedule.phases:
        if current is not None and phase.start_date == current.start_date:
            return _Phase(phase.items[0].price, phase.start_date, phase.end_date)
    raise ValueError("the schedule is in no phase")


def _once(key: str) -> Any:
    return {"idempotency_key": key}
