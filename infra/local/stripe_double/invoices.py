"""Invoices: drafted with their lines, finalised, paid through a payment intent, voided."""

from dataclasses import dataclass, field

import stripe

from infra.local.stripe_double.invoice_lines import Line, line_json
from infra.local.stripe_double.payments import charge_intent, open_intent
from infra.local.stripe_double.refusals import CardRefused, InvalidRequest, Json
from infra.local.stripe_double.shapes import build, list_of
from infra.local.stripe_double.world import World

DESCRIPTIONS = {
    "subscription_create": "Subscription creation",
    "subscription_update": "Subscription update",
    "subscription_cycle": "Subscription update",
}


@dataclass(frozen=True, slots=True)
class Terms:
    """Why an invoice is made, for which subscription, and which period it looks back on."""

    billing_reason: str
    period_start: int
    period_end: int
    subscription: Json | None = None
    metadata: dict[str, str] = field(default_factory=dict)
    is_collected: bool = True
    is_taxed: bool = False


def draft_invoice(world: World, customer: Json, lines: list[Line], terms: Terms) -> Json:
    """Make a draft; it says `invoice.created`."""
    invoice_id = world.new_id("in")
    rows = [line_json(world, line, invoice_id, is_taxed=terms.is_taxed) for line in lines]
    tax_status = "complete" if terms.is_taxed else None
    invoice = build(
        stripe.Invoice,
        id=invoice_id,
        attempt_count=0,
        attempted=False,
        auto_advance=terms.is_collected,
        automatic_tax=build(stripe.Invoice.AutomaticTax, enabled=terms.is_taxed, status=tax_status),
        billing_reason=terms.billing_reason,
        collection_method="charge_automatically",
        created=world.now(),
        currency=lines[0].price["currency"],
        lines={**list_of(rows, f"/v1/invoices/{invoice_id}/lines"), "total_count": len(rows)},
        livemode=False,
        metadata=terms.metadata,
        parent=_parent(terms),
        payment_settings=build(stripe.Invoice.PaymentSettings),
        period_end=terms.period_end,
        period_start=terms.period_start,
        status="draft",
        status_transitions=build(stripe.Invoice.StatusTransitions),
        **_parties(customer),
        **_sums(rows),
    )
    world.emit("invoice.created", world.add(invoice))
    return invoice


def finalize_invoice(world: World, invoice: Json) -> None:
    """Close the draft: number, balance of the customer, what is due. One with nothing due is paid.

    raises  InvalidRequest for what is no draft
    """
    if invoice["status"] != "draft":
        raise InvalidRequest("This invoice is already finalized, you can't re-finalize a non-draft invoice.")
    customer = world.get("customer", invoice["customer"])
    _apply_balance(world, invoice, customer)
    number = customer["next_invoice_sequence"]
    customer["next_invoice_sequence"] += 1
    invoice |= {
        "automatically_finalizes_at": None,
        "effective_at": world.now(),
        "hosted_invoice_url": f"{world.base_url}/i/{invoice['id']}",
        "invoice_pdf": f"{world.base_url}/i/{invoice['id']}",
        "number": f"{customer['invoice_prefix']}-{number:04}",
        "status": "open",
    }
    invoice["status_transitions"]["finalized_at"] = world.now()
    world.emit("invoice.finalized", invoice)
    if invoice["amount_due"] == 0:
        mark_paid(world, invoice)


def attempt_payment(world: World, invoice: Json, method: Json | None, *, is_authenticated: bool) -> CardRefused | None:
    """Charge the invoice once; return the refusal when there is one, which is the caller's to tell."""
    invoice |= {"attempted": True, "attempt_count": invoice["attempt_count"] + 1}
    if method is None:
        return CardRefused(
            "This customer has no attached payment source or default payment method.", code="resource_missing"
        )
    payment = payment_of(world, invoice)
    intent = world.get("payment_intent", payment["payment"]["payment_intent"])
    refusal = charge_intent(world, intent, method, is_authenticated=is_authenticated)
    if refusal is None:
        _settle(world, payment, invoice["amount_due"])
        mark_paid(world, invoice)
    return refusal


def mark_paid(world: World, invoice: Json) -> None:
    """Close the invoice as paid and say so, in both of Stripe's words."""
    invoice |= {
        "amount_paid": invoice["amount_due"],
        "amount_remaining": 0,
        "attempted": True,
        "auto_advance": False,
        "next_payment_attempt": None,
        "status": "paid",
    }
    invoice["status_transitions"]["paid_at"] = world.now()
    world.emit("invoice.paid", invoice)
    world.emit("invoice.payment_succeeded", invoice)


def payment_of(world: World, invoice: Json) -> Json:
    """Return the invoice's payment; the first call makes it, with its intent."""
    for payment in world.rows("invoice_payment"):
        if payment["invoice"] == invoice["id"]:
            return payment
    details = {
        "description": DESCRIPTIONS.get(invoice["billing_reason"], f"Payment for Invoice {invoice['number']}"),
        "receipt_email": invoice["customer_email"],
        "setup_future_usage": "off_session" if invoice["parent"] else None,
    }
    customer, amount, currency = invoice["customer"], invoice["amount_due"], invoice["currency"]
    intent = open_intent(world, amount=amount, currency=currency, customer=customer, details=details)
    return add_payment(world, invoice, intent)


def add_payment(world: World, invoice: Json, intent: Json) -> Json:
    """Tie an intent to the invoice that it pays."""
    payment = build(
        stripe.InvoicePayment,
        id=world.new_id("inpay"),
        amount_requested=invoice["amount_due"],
        created=world.now(),
        currency=invoice["currency"],
        invoice=invoice["id"],
        is_default=True,
        livemode=False,
        payment={"payment_intent": intent["id"], "type": "payment_intent"},
        status="open",
        status_transitions={"canceled_at": None, "paid_at": None},
    )
    return world.add(payment)


def settle_payment(world: World, invoice: Json, intent: Json) -> None:
    """Note that an intent, already charged, pays this invoice."""
    _settle(world, add_payment(world, invoice, intent), invoice["amount_due"])
    mark_paid(world, invoice)


def void_invoice(world: World, invoice: Json) -> None:
    """Take an open invoice back.

    raises  InvalidRequest
    """
    _check_open(invoice, "void")
    invoice |= {"status": "void", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["voided_at"] = world.now()
    world.emit("invoice.voided", invoice)


def write_off_invoice(world: World, invoice: Json) -> None:
    """Give an open invoice up.

    raises  InvalidRequest
    """
    _check_open(invoice, "mark uncollectible")
    invoice |= {"status": "uncollectible", "auto_advance": False, "next_payment_attempt": None}
    invoice["status_transitions"]["marked_uncollectible_at"] = world.now()
    world.emit("invoice.marked_uncollectible", invoice)


def subscription_of(world: World, invoice: Json) -> Json | None:
    """Return the subscription that an invoice belongs to."""
    if invoice["parent"] is None:
        return None
    return world.find(invoice["parent"]["subscription_details"]["subscription"])


def _parties(customer: Json) -> Json:
    """Return who sells and who pays."""
    return {
        "account_country": "US",
        "account_name": "Stripe double",
        "customer": customer["id"],
        "customer_email": customer["email"],
        "customer_name": customer["name"],
        "customer_tax_exempt": customer["tax_exempt"],
        "customer_tax_ids": [],
        "issuer": {"account": None, "type": "self"},
        "starting_balance": customer["balance"],
    }


def _sums(rows: list[Json]) -> Json:
    """Return what the lines add up to; tax is on top unless the prices include it."""
    taxes = [tax for row in rows for tax in row["taxes"]]
    subtotal, tax = sum(row["amount"] for row in rows), sum(row["amount"] for row in taxes)
    total = subtotal + sum(row["amount"] for row in taxes if row["tax_behavior"] == "exclusive")
    nothing = ("amount_overpaid", "amount_paid", "amount_shipping", "post_payment_credit_notes_amount",
               "pre_payment_credit_notes_amount")  # fmt: skip
    empty = ("default_tax_rates", "discounts", "total_discount_amounts", "total_pretax_credit_amounts")
    return {
        **dict.fromkeys(nothing, 0),
        **{name: [] for name in empty},
        "amount_due": max(0, total),
        "amount_remaining": max(0, total),
        "subtotal": subtotal,
        "subtotal_excluding_tax": total - tax,
        "total": total,
        "total_excluding_tax": total - tax,
        "total_taxes": taxes,
    }


def _settle(world: World, payment: Json, amount: int) -> None:
    payment |= {"amount_paid": amount, "status": "paid"}
    payment["status_transitions"]["paid_at"] = world.now()
    world.emit("invoice_payment.paid", payment)


def _apply_balance(world: World, invoice: Json, customer: Json) -> None:
    """Take what is due from the customer's credit, or add to it what the invoice gives back."""
    starting, total = customer["balance"], invoice["total"]
    due = max(0, total + starting) if starting < 0 or total < 0 else total + starting
    ending = min(0, total + starting)
    with world.changing(customer, "customer.updated"):
        customer["balance"] = ending
    invoice |= {"starting_balance": starting, "ending_balance": ending, "amount_due": due, "amount_remaining": due}


def _parent(terms: Terms) -> Json | None:
    if terms.subscription is None:
        return None
    details = build(
        stripe.Invoice.Parent.SubscriptionDetails,
        metadata=dict(terms.subscription["metadata"]),
        subscription=terms.subscription["id"],
    )
    return {"quote_details": None, "subscription_details": details, "type": "subscription_details"}


def _check_open(invoice: Json, verb: str) -> None:
    if invoice["status"] not in {"open", "uncollectible"}:
        raise InvalidRequest(f"You can only {verb} an invoice that is open; this one is {invoice['status']}.")
