"""The page at a Checkout session's url: pay with a test card, see it declined, confirm it is you, or leave."""

from urllib.parse import quote

from aiohttp import web

from infra.local.stripe_double import markup
from infra.local.stripe_double.cards import CARDS, find_card
from infra.local.stripe_double.checkout import session_lines
from infra.local.stripe_double.completion import pay_later, pay_session
from infra.local.stripe_double.refusals import Json, StripeRefusal
from infra.local.stripe_double.world import World

ID_PLACEHOLDER = "{CHECKOUT_SESSION_ID}"
BANK = "bank"
CARD_NAMES = {
    "visa": "4242 4242 4242 4242: is paid",
    "chargeDeclined": "4000 0000 0000 0002: declined",
    "chargeDeclinedInsufficientFunds": "4000 0000 0000 9995: declined, insufficient funds",
    "chargeDeclinedExpiredCard": "4000 0000 0000 0069: declined, expired",
    "authenticationRequired": "4000 0027 6000 3184: its owner must confirm",
    "createDispute": "4000 0000 0000 0259: is paid, then disputed",
    "refundFail": "4000 0000 0000 5126: is paid, its refunds fail",
    "pendingRefund": "4000 0000 0000 7726: is paid, its refunds wait",
}


def show_checkout(world: World, session: Json, error: str = "", email: str = "") -> web.Response:
    """Return the page, or say that the session is over."""
    if session["status"] != "open":
        text = "You've already completed this payment." if session["status"] == "complete" else "This link has expired."
        return _html(markup.page("Checkout", markup.paragraph(text, kind="over")))
    methods = list(CARD_NAMES.items())
    if session["mode"] == "payment":
        methods.append((BANK, "Bank debit: known to be paid, or not, days later"))
    known = (session["customer_details"] or {}).get("email") or session["customer_email"] or email
    content = markup.form(
        f"/c/pay/{session['id']}",
        markup.text_field("E-mail", "email", known, kind="email"),
        markup.choice("Pay with", "card", methods),
        markup.text_field("Or any other card number", "number"),
        markup.button("Pay" if session["mode"] == "payment" else "Subscribe", "pay"),
    )
    cancel = markup.link("Back", session["cancel_url"], "cancel") if session["cancel_url"] else ""
    warning = markup.paragraph(error, kind="error") if error else ""
    return _html(markup.page("Checkout", _lines(world, session), warning, content, cancel), 402 if error else 200)


def post_checkout(world: World, session: Json, form: Json) -> web.Response:
    """Pay, or go back; leads to success_url, to the confirmation, or to the page with what went wrong."""
    if form.get("action") == "cancel" and session["cancel_url"]:
        raise web.HTTPSeeOther(session["cancel_url"])
    email = form.get("email", "").strip()
    if "@" not in email:
        return show_checkout(world, session, "Your e-mail is incomplete.", email)
    chosen = form.get("number", "").strip() or form.get("card", "visa")
    card = CARDS["visa"] if chosen == BANK else find_card(chosen)
    if card is None:
        return show_checkout(world, session, "Your card number is incorrect.", email)
    is_authenticated = form.get("action") == "confirm"
    if card.needs_authentication and not is_authenticated and form.get("action") != "refuse":
        return _ask_owner(session, {"email": email, "card": chosen})
    try:
        if chosen == BANK:
            pay_later(world, session, card, email=email)
        else:
            pay_session(world, session, card, email=email, is_authenticated=is_authenticated)
    except StripeRefusal as refusal:
        return show_checkout(world, session, refusal.message, email)
    raise web.HTTPSeeOther(success_url(session))


def success_url(session: Json) -> str:
    """Return where a payer goes, with the session's id in its place."""
    return str(session["success_url"]).replace(ID_PLACEHOLDER, quote(session["id"]))


def _ask_owner(session: Json, chosen: dict[str, str]) -> web.Response:
    content = markup.form(
        f"/c/pay/{session['id']}",
        markup.paragraph("Your bank wants to know that it is you."),
        markup.button("Complete", "confirm"),
        markup.button("Fail", "refuse"),
        hidden=chosen,
    )
    return _html(markup.page("Confirm the payment", content))


def _lines(world: World, session: Json) -> str:
    texts = []
    for line in session_lines(world, session["id"]):
        every = f" every {line['price']['recurring']['interval']}" if line["price"]["recurring"] else ""
        shown = markup.money(line["amount_total"], line["currency"])
        texts.append(f"{line['quantity']} x {line['description']}: {shown}{every}")
    total = markup.paragraph(f"Total {markup.money(session['amount_total'], session['currency'])}", kind="total")
    return markup.items(texts) + total


def _html(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)
