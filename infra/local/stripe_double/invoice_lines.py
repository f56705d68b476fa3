"""Lines of invoices: periods of a subscription, prorations, single sales; and prorations that wait for an invoice."""

from dataclasses import dataclass

import stripe

from infra.local.stripe_double.refusals import Json
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.tax import tax_json, tax_of
from infra.local.stripe_double.world import World


@dataclass(frozen=True, slots=True)
class Line:
    """amount: signed, of the whole quantity; start, end: the period that is paid for."""

    amount: int
    price: Json
    quantity: int
    start: int
    end: int
    description: str
    subscription: str | None = None
    item: str | None = None
    is_proration: bool = False
    invoice_item: str | None = None


def line_json(world: World, line: Line, invoice_id: str, *, is_taxed: bool) -> Json:
    """Return the line as an invoice shows it."""
    tax = tax_of(world, line.price, line.amount, is_taxed=is_taxed)
    return build(
        stripe.InvoiceLineItem,
        id=world.new_id("il"),
        amount=line.amount,
        currency=line.price["currency"],
        description=line.description,
        discount_amounts=[],
        discountable=not line.is_proration,
        discounts=[],
        invoice=invoice_id,
        livemode=False,
        metadata={},
        parent=_parent(line),
        period={"end": line.end, "start": line.start},
        pretax_credit_amounts=[],
        pricing=_pricing(line.price),
        quantity=line.quantity,
        quantity_decimal=str(line.quantity),
        subscription=line.subscription,
        subtotal=line.amount,
        taxes=tax_json(line.price, tax, line.amount),
    )


def hold_back(world: World, line: Line, customer: str) -> None:
    """Keep a proration until the subscription's next invoice takes it."""
    item = build(
        stripe.InvoiceItem,
        id=world.new_id("ii"),
        amount=line.amount,
        currency=line.price["currency"],
        customer=customer,
        date=world.now(),
        description=line.description,
        discountable=False,
        discounts=[],
        livemode=False,
        metadata={},
        net_amount=line.amount,
        parent={
            "subscription_details": {"subscription": line.subscription, "subscription_item": line.item},
            "type": "subscription_details",
        },
        period={"end": line.end, "start": line.start},
        pricing=_pricing(line.price),
        proration=True,
        quantity=line.quantity,
        quantity_decimal=str(line.quantity),
        tax_rates=[],
    )
    world.emit("invoiceitem.created", world.add(item))


def take_held_back(world: World, subscription: Json, invoice_id: str | None = None) -> list[Line]:
    """Return the prorations that wait for this subscription's invoice; with the invoice's id they wait no more."""
    lines = []
    for item in reversed(world.rows("invoiceitem")):
        parent = item["parent"]["subscription_details"]
        if parent["subscription"] != subscription["id"] or item["invoice"] is not None:
            continue
        price = world.get("price", item["pricing"]["price_details"]["price"])
        period, item["invoice"] = item["period"], invoice_id
        line = Line(
            item["amount"],
            price,
            item["quantity"],
            period["start"],
            period["end"],
            item["description"],
            parent["subscription"],
            parent["subscription_item"],
            is_proration=True,
            invoice_item=item["id"],
        )
        lines.append(line)
    return lines


def _pricing(price: Json) -> Json:
    details = {"price": price["id"], "product": price["product"]}
    return {"price_details": details, "type": "price_details", "unit_amount_decimal": price["unit_amount_decimal"]}


def _parent(line: Line) -> Json | None:
    """Return where a line comes from; a proration that waited comes from its invoice item."""
    if line.invoice_item is not None:
        details: Json = {"invoice_item": line.invoice_item, "proration": line.is_proration,
                         "proration_details": {"credited_items": None}, "subscription": line.subscription}  # fmt: skip
        return {"invoice_item_details": details, "subscription_item_details": None, "type": "invoice_item_details"}
    if line.item is None:
        return None
    details = {"invoice_item": None, "proration": line.is_proration, "proration_details": {"credited_items": None},
               "subscription": line.subscription, "subscription_item": line.item}  # fmt: skip
    return {"invoice_item_details": None, "subscription_item_details": details, "type": "subscription_item_details"}
