"""Payments at Stripe: each read with all that hangs on it, refunded, and listed for whoever compares."""

import uuid
from typing import TYPE_CHECKING, Any, cast

from shared.clients.stripe.facts import Dispute, ListedPayment, Payment, Refund
from shared.clients.stripe.shapes import (
    ChargeShape,
    DisputeShape,
    Id,
    IntentShape,
    InvoicePaymentShape,
    InvoiceShape,
    RefundShape,
    SessionShape,
)
from shared.clients.stripe.wire import PAGE_SIZE, Page, StripeRefused, StripeWire, together

if TYPE_CHECKING:
    from stripe import V1Services

MISSING = "resource_missing"
# Nothing is left to give back, or his bank is about to.
NOT_REFUNDABLE = frozenset({"charge_already_refunded", "charge_disputed"})


class StripePayments:
    """The payments of one account at Stripe.

    policy  closed: PaymentsUnavailable, StripeRefused; a retry is safe
    """

    def __init__(self, wire: StripeWire) -> None:
        self._wire = wire

    async def read(self, payment_id: str) -> Payment | None:
        """Read a payment as it is now, with its refunds and disputes; None where there is none of this id."""
        try:
            intent, session, invoice, refunds, disputes = await together(
                self._read_intent(payment_id),
                self._find_session(payment_id),
                self._find_invoice(payment_id),
                self._list_refunds(payment_id),
                self._list_disputes(payment_id),
            )
        except StripeRefused as refusal:
            if refusal.reason == MISSING:
                return None
            raise
        return _describe(
            cast("IntentShape", intent),
            cast("SessionShape | None", session) or cast("InvoiceShape | None", invoice),
            cast("tuple[RefundShape, ...]", refunds),
            cast("tuple[DisputeShape, ...]", disputes),
        )

    async def refund(self, payment_id: str) -> None:
        """Give back all that is left of a payment; what is disputed its owner gets by his bank.

        Again gives back nothing more. Not under a key of ours: Stripe would repeat a failure for a day.
        """

        async def refund(services: "V1Services") -> Any:
            return await services.refunds.create_async({"payment_intent": payment_id})

        try:
            await self._wire.ask(refund, Id)
        except StripeRefused as refusal:
            if refusal.reason not in NOT_REFUNDABLE:
                raise

    async def list_since(self, created_at: int) -> tuple[ListedPayment, ...]:
        """Return the payment intents made since a time, newest first, with what their last charge tells."""

        def list_page(services: "V1Services", after: str | None) -> Any:
            params = _since(created_at, after) | {"expand": ["data.latest_charge"]}
            return services.payment_intents.list_async(params)

        return tuple(_listed(each) for each in await self._wire.ask_most(list_page, IntentShape))

    async def list_refunded_since(self, created_at: int) -> frozenset[str]:
        """Return the payments of which a refund was made since a time, whatever became of it."""

        def list_page(services: "V1Services", after: str | None) -> Any:
            return services.refunds.list_async(_since(created_at, after))

        refunds = await self._wire.ask_most(list_page, RefundShape)
        return frozenset(each.payment_intent for each in refunds if each.payment_intent)

    async def list_disputed_since(self, created_at: int) -> frozenset[str]:
        """Return the payments that a dispute was opened of since a time, however old they are."""

        def list_page(services: "V1Services", after: str | None) -> Any:
            return services.disputes.list_async(_since(created_at, after))

        disputes = await self._wire.ask_most(list_page, DisputeShape)
        return frozenset(each.payment_intent for each in disputes if each.payment_intent)

    async def _read_intent(self, payment_id: str) -> IntentShape:
        async def retrieve(services: "V1Services") -> Any:
            return await services.payment_intents.retrieve_async(payment_id, {"expand": ["latest_charge"]})

        return await self._wire.ask(retrieve, IntentShape)

    async def _find_session(self, payment_id: str) -> SessionShape | None:
        """Return the session that led to the payment, which a subscription's has not."""

        async def list_sessions(services: "V1Services") -> Any:
            return await services.checkout.sessions.list_async({"payment_intent": payment_id, "limit": 1})

        page = await self._wire.ask(list_sessions, Page[SessionShape])
        return page.data[0] if page.data and page.data[0].mode == "payment" else None

    async def _find_invoice(self, payment_id: str) -> InvoiceShape | None:
        async def list_payments(services: "V1Services") -> Any:
            payment: Any = {"type": "payment_intent", "payment_intent": payment_id}
            return await services.invoice_payments.list_async({"payment": payment, "limit": 1})

        page = await self._wire.ask(list_payments, Page[InvoicePaymentShape])
        if not page.data:
            return None

        async def retrieve(services: "V1Services") -> Any:
            return await services.invoices.retrieve_async(page.data[0].invoice)

        return await self._wire.ask(retrieve, InvoiceShape)

    async def _list_refunds(self, payment_id: str) -> tuple[RefundShape, ...]:
        def list_page(services: "V1Services", after: str | None) -> Any:
            return services.refunds.list_async(_of_payment(payment_id, after))

        return await self._wire.ask_all(list_page, RefundShape)

    async def _list_disputes(self, payment_id: str) -> tuple[DisputeShape, ...]:
        def list_page(services: "V1Services", after: str | None) -> Any:
            return services.disputes.list_async(_of_payment(payment_id, after))

        return await self._wire.ask_all(list_page, DisputeShape)


def _since(created_at: int, after: str | None) -> Any:
    return {"created": {"gte": created_at}, "limit": PAGE_SIZE} | ({"starting_after": after} if after else {})


def _listed(intent: IntentShape) -> ListedPayment:
    charge = intent.latest_charge if isinstance(intent.latest_charge, ChargeShape) else None
    return ListedPayment(
        id=intent.id,
        status=intent.status,
        received_cents=intent.amount_received,
        refunded_cents=charge.amount_refunded if charge else 0,
        is_disputed=bool(charge and charge.disputed),
    )


def _of_payment(payment_id: str, after: str | None) -> Any:
    return {"payment_intent": payment_id, "limit": PAGE_SIZE} | ({"starting_after": after} if after else {})


def _describe(
    intent: IntentShape,
    source: SessionShape | InvoiceShape | None,
    refunds: tuple[RefundShape, ...],
    disputes: tuple[DisputeShape, ...],
) -> Payment:
    """Put together what the ledger is told; amounts are those of Stripe's objects, never of metadata."""
    charge = intent.latest_charge if isinstance(intent.latest_charge, ChargeShape) else None
    card = charge.payment_method_details.card if charge and charge.payment_method_details else None
    common: dict[str, Any] = {
        "id": intent.id,
        "status": intent.status,
        "currency": intent.currency,
        "received_cents": intent.amount_received,
        "refunds": tuple(Refund(each.id, each.amount, each.status or "pending") for each in refunds),
        "disputes": tuple(Dispute(each.id, each.amount, each.status, _is_withdrawn(each)) for each in disputes),
        "card_fingerprint": card.fingerprint if card else None,
        "receipt_url": charge.receipt_url if charge else None,
        "paid_at": charge.created if charge and charge.paid else None,
    }
    if isinstance(source, SessionShape):
        # While a delayed payment is under way its session has a tax already, and nothing has been received.
        is_received = intent.amount_received > 0
        return Payment(
            kind="credits",
            customer_id=source.customer or intent.customer,
            checkout_id=_uuid(source.client_reference_id),
            tax_cents=source.total_details.amount_tax if source.total_details and is_received else 0,
            bought_cents=source.amount_subtotal or 0,
            **common,
        )
    subscription_id = subscription_of(source) if source else None
    if source is None or subscription_id is None:
        return Payment(kind="unknown", customer_id=intent.customer, **common)
    # Credit with Stripe may have paid a part of the invoice, and then of its tax.
    tax_cents = min(tax_of(source), intent.amount_received)
    return Payment(
        kind="plan",
        customer_id=source.customer or intent.customer,
        subscription_id=subscription_id,
        invoice_id=source.id,
        tax_cents=tax_cents,
        bought_cents=intent.amount_received - tax_cents,
        **common,
    )


def subscription_of(invoice: InvoiceShape) -> str | None:
    """Return the subscription that an invoice is for."""
    details = invoice.parent.subscription_details if invoice.parent else None
    return details.subscription if details else None


def tax_of(invoice: InvoiceShape) -> int:
    """Return the tax on an invoice, in cents."""
    return sum(tax.amount for tax in invoice.total_taxes or ())


def _is_withdrawn(dispute: DisputeShape) -> bool:
    """Tell whether the money is gone: withdrawn, and not reinstated. The sign is right in every currency."""
    return sum(moved.amount for moved in dispute.balance_transactions) < 0


def _uuid(text: str | None) -> str | None:
    """Return the id of a checkout; a session that somebody else made may carry any words."""
    try:
        return str(uuid.UUID(text)) if text else None
    except ValueError:
        return None
