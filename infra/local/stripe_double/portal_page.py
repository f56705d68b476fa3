"""The page at a portal session's url: cancel, go on, switch the plan, pay with another card."""

from datetime import UTC, datetime

from aiohttp import web

from infra.local.stripe_double import markup
from infra.local.stripe_double.cards import find_card
from infra.local.stripe_double.customers import set_default_card
from infra.local.stripe_double.portal import (
    cancel_in_portal,
    describe_end,
    features_of,
    living_subscriptions,
    offered_prices,
    resume_in_portal,
    switch_in_portal,
)
from infra.local.stripe_double.refusals import InvalidRequest, Json, StripeRefusal
from infra.local.stripe_double.subscriptions import period_end
from infra.local.stripe_double.world import World


def show_portal(world: World, session: Json, error: str = "") -> web.Response:
    """Return the page."""
    own = living_subscriptions(world, session)
    parts = [_subscription(world, session, subscription) for subscription in own]
    if not own:
        parts.append(markup.paragraph("No subscription.", kind="none"))
    if features_of(world, session)["payment_method_update"]["enabled"]:
        number = markup.text_field("Card number", "number", "4242424242424242")
        parts.append(markup.form(_url(session), number, markup.button("Use this card", "card")))
    parts.append(_invoices(world, session))
    if session["return_url"]:
        parts.append(markup.link("Return", session["return_url"], "return"))
    warning = markup.paragraph(error, kind="error") if error else ""
    text = markup.page("Billing", warning, *parts)
    return web.Response(text=text, content_type="text/html", status=400 if error else 200)


def post_portal(world: World, session: Json, form: Json) -> web.Response:
    """Do what a button of the page stands for and show the page again."""
    try:
        _act(world, session, form)
    except StripeRefusal as refusal:
        return show_portal(world, session, refusal.message)
    raise web.HTTPSeeOther(_url(session))


def _act(world: World, session: Json, form: Json) -> None:
    subscription_id = form.get("subscription", "")
    match form.get("action"):
        case "cancel":
            cancel_in_portal(world, session, subscription_id)
        case "resume":
            resume_in_portal(world, session, subscription_id)
        case "switch":
            switch_in_portal(world, session, subscription_id, form.get("price", ""))
        case "card":
            _use_card(world, session, form.get("number", ""))
        case _:
            raise InvalidRequest("The page has no such button.")


def _use_card(world: World, session: Json, number: str) -> None:
    card = find_card(number)
    if card is None:
        raise InvalidRequest("Your card number is incorrect.")
    set_default_card(world, world.get("customer", session["customer"]), card)


def _subscription(world: World, session: Json, subscription: Json) -> str:
    item, ends_at = subscription["items"]["data"][0], describe_end(subscription)
    name = world.get("product", item["price"]["product"])["name"]
    state = f"ends on {_day(ends_at)}" if ends_at else f"renews on {_day(period_end(subscription))}"
    own = {"subscription": subscription["id"]}
    parts = [markup.paragraph(f"{name}: {subscription['status']}, {state}")]
    if ends_at:
        parts.append(markup.form(_url(session), markup.button("Do not cancel", "resume"), hidden=own))
    elif features_of(world, session)["subscription_cancel"]["enabled"]:
        parts.append(markup.form(_url(session), markup.button("Cancel the plan", "cancel"), hidden=own))
    if options := [(price["id"], _offer(world, price)) for price in offered_prices(world, session, subscription)]:
        plans = markup.choice("Plan", "price", options)
        parts.append(markup.form(_url(session), plans, markup.button("Switch to this plan", "switch"), hidden=own))
    return "".join(parts)


def _offer(world: World, price: Json) -> str:
    name = world.get("product", price["product"])["name"]
    return f"{name}, {markup.money(price['unit_amount'], price['currency'])} every {price['recurring']['interval']}"


def _invoices(world: World, session: Json) -> str:
    own = [row for row in world.rows("invoice") if row["customer"] == session["customer"]]
    return markup.items(
        f"{row['number'] or 'draft'}: {markup.money(row['total'], row['currency'])}, {row['status']}" for row in own
    )


def _url(session: Json) -> str:
    return f"/p/session/{session['id']}"


def _day(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%d %B %Y")
