"""Collecting invoices: what an attempt does to the subscription, when the next one comes, what the last one means."""

from infra.local.stripe_double.customers import take_method
from infra.local.stripe_double.invoices import (
    attempt_payment,
    finalize_invoice,
    mark_paid,
    payment_of,
    subscription_of,
    void_invoice,
    write_off_invoice,
)
from infra.local.stripe_double.payments import payment_error
from infra.local.stripe_double.periods import DAY_S
from infra.local.stripe_double.refusals import CardRefused, InvalidRequest, Json
from infra.local.stripe_double.world import World


def collect_invoice(world: World, invoice: Json, *, is_authenticated: bool = False) -> CardRefused | None:
    """Finalise a draft and charge the invoice; the subscription follows."""
    if invoice["status"] == "draft":
        finalize_invoice(world, invoice)
    if invoice["status"] == "paid":
        note_paid(world, invoice)
        return None
    method = default_method(world, invoice)
    refusal = attempt_payment(world, invoice, method, is_authenticated=is_authenticated)
    if refusal is None:
        note_paid(world, invoice)
    else:
        _note_failed(world, invoice)
    return refusal


def default_method(world: World, invoice: Json) -> Json | None:
    """Return what the invoice is charged to: the subscription's method, else the customer's."""
    subscription = subscription_of(world, invoice)
    customer = world.get("customer", invoice["customer"])
    chosen = subscription["default_payment_method"] if subscription else None
    chosen = chosen or customer["invoice_settings"]["default_payment_method"]
    return world.find(chosen) if chosen else None


def note_paid(world: World, invoice: Json) -> None:
    """Put the subscription right once its newest invoice is paid; an older one leaves the debt of the newer."""
    subscription = subscription_of(world, invoice)
    if subscription is None or subscription["latest_invoice"] != invoice["id"]:
        return
    _apply_pending_update(world, subscription)
    if subscription["status"] in {"incomplete", "past_due", "unpaid"}:
        with world.changing(subscription, "customer.subscription.updated"):
            subscription["status"] = "active"


def end_subscription(world: World, subscription: Json, reason: str | None) -> None:
    """End a subscription now; its open invoices are collected no more."""
    now = world.now()
    subscription |= {"status": "canceled", "ended_at": now, "canceled_at": subscription["canceled_at"] or now}
    details = subscription["cancellation_details"]
    details["reason"] = details["reason"] or reason
    for invoice in world.rows("invoice"):
        if subscription_of(world, invoice) is subscription and invoice["status"] in {"draft", "open"}:
            invoice |= {"auto_advance": False, "next_payment_attempt": None, "automatically_finalizes_at": None}
    _end_schedule(world, subscription)
    world.emit("customer.subscription.deleted", subscription)


def pay_invoice(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/invoices/{id}/pay.

    raises  CardRefused, InvalidRequest
    """
    invoice = world.get("invoice", ids[0])
    if invoice["status"] in {"paid", "void"}:
        raise InvalidRequest("Invoice is already paid" if invoice["status"] == "paid" else "Invoice is voided")
    if invoice["status"] == "draft":
        finalize_invoice(world, invoice)
    if params.get("paid_out_of_band"):
        mark_paid(world, invoice)
    if invoice["status"] == "paid":
        note_paid(world, invoice)
        return invoice
    given = params.get("payment_method")
    method = take_method(world, given, param="payment_method") if given else default_method(world, invoice)
    refusal = attempt_payment(world, invoice, method, is_authenticated=False)
    if refusal is None:
        note_paid(world, invoice)
        return invoice
    world.emit("invoice.payment_failed", invoice)
    if method is None:
        raise InvalidRequest(refusal.message, code=refusal.code)
    intent = world.get("payment_intent", payment_of(world, invoice)["payment"]["payment_intent"])
    raise payment_error(intent, refusal)


def finalize_now(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/invoices/{id}/finalize."""
    invoice = world.get("invoice", ids[0])
    finalize_invoice(world, invoice)
    if invoice["status"] == "paid":
        note_paid(world, invoice)
    return invoice


def void_now(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/invoices/{id}/void."""
    invoice = world.get("invoice", ids[0])
    void_invoice(world, invoice)
    return invoice


def write_off_now(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/invoices/{id}/mark_uncollectible."""
    invoice = world.get("invoice", ids[0])
    write_off_invoice(world, invoice)
    return invoice


def get_invoice(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/invoices/{id}."""
    return world.get("invoice", ids[0])


def _apply_pending_update(world: World, subscription: Json) -> None:
    """Do what waited for this money."""
    pending = subscription["pending_update"]
    if pending is None:
        return
    items = pending["subscription_items"]
    anchor = pending["billing_cycle_anchor"] or subscription["billing_cycle_anchor"]
    with world.changing(subscription, "customer.subscription.updated"):
        subscription["items"] |= {"data": [world.add(item) for item in items], "total_count": len(items)}
        subscription |= {"billing_cycle_anchor": anchor, "pending_update": None}
    world.emit("customer.subscription.pending_update_applied", subscription)


def _end_schedule(world: World, subscription: Json) -> None:
    if subscription["schedule"] is not None:
        schedule = world.get("subscription_schedule", subscription["schedule"])
        schedule |= {"status": "canceled", "canceled_at": world.now(), "current_phase": None}
        world.emit("subscription_schedule.canceled", schedule)


def _note_failed(world: World, invoice: Json) -> None:
    """Say that it failed, plan the next attempt, and let the subscription be past due, or worse after the last."""
    delays = world.settings.retry_after_days
    subscription = subscription_of(world, invoice)
    attempt = invoice["attempt_count"]
    # A first invoice is never tried again by itself.
    is_retried = attempt <= len(delays) and invoice["billing_reason"] != "subscription_create"
    invoice["next_payment_attempt"] = world.now() + delays[attempt - 1] * DAY_S if is_retried else None
    world.emit("invoice.payment_failed", invoice)
    if subscription is None or subscription["status"] in {"incomplete", "canceled"}:
        return
    if is_retried or world.settings.after_retries == "past_due":
        with world.changing(subscription, "customer.subscription.updated"):
            subscription["status"] = "past_due"
    elif world.settings.after_retries == "cancel":
        end_subscription(world, subscription, "payment_failed")
    else:
        with world.changing(subscription, "customer.subscription.updated"):
            subscription["status"] = "unpaid"
