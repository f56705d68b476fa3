"""The pages at an invoice's and a charge's url: pay what is open with another card, see what was paid."""

from aiohttp import web

from infra.local.stripe_double import markup
from infra.local.stripe_double.cards import find_card
from infra.local.stripe_double.collection import pay_invoice
from infra.local.stripe_double.customers import set_default_card
from infra.local.stripe_double.refusals import InvalidRequest, Json, StripeRefusal
from infra.local.stripe_double.world import World


def show_invoice(world: World, invoice: Json, error: str = "") -> web.Response:
    """Return an invoice's page, with a form while it is open."""
    lines = [
        f"{line['description']}: {markup.money(line['amount'], line['currency'])}" for line in invoice["lines"]["data"]
    ]
    due = markup.money(invoice["amount_remaining"], invoice["currency"])
    parts = [markup.items(lines), markup.paragraph(f"{invoice['status']}, due {due}", kind="total")]
    if invoice["status"] == "open":
        number = markup.text_field("Card number", "number", "4242424242424242")
        parts.append(markup.form(f"/i/{invoice['id']}", number, markup.button("Pay", "pay")))
    warning = markup.paragraph(error, kind="error") if error else ""
    return _html(markup.page(f"Invoice {invoice['number']}", warning, *parts), 402 if error else 200)


def post_invoice(world: World, invoice: Json, form: Json) -> web.Response:
    """Pay an open invoice and keep the card for the next ones."""
    try:
        card = find_card(form.get("number", ""))
        if card is None:
            raise InvalidRequest("Your card number is incorrect.")
        set_default_card(world, world.get("customer", invoice["customer"]), card)
        pay_invoice(world, {}, (invoice["id"],))
    except StripeRefusal as refusal:
        return show_invoice(world, invoice, refusal.message)
    raise web.HTTPSeeOther(f"/i/{invoice['id']}")


def show_receipt(_: World, charge: Json) -> web.Response:
    """Return the page of a charge."""
    paid = markup.paragraph(f"Paid {markup.money(charge['amount'], charge['currency'])}", kind="total")
    back = markup.paragraph(f"Refunded {markup.money(charge['amount_refunded'], charge['currency'])}", kind="refunded")
    return _html(markup.page("Receipt", paid, back))


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)
