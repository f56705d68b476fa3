"""Completing a Checkout session: what a payment in the browser makes, changes and says."""

from infra.local.stripe_double.cards import Card
from infra.local.stripe_double.checkout import describe_customer, session_lines, session_request
from infra.local.stripe_double.collection import collect_invoice
from infra.local.stripe_double.customers import attach_method, create_customer, create_method, merge_metadata
from infra.local.stripe_double.invoice_lines import Line
from infra.local.stripe_double.invoices import Terms, draft_invoice, finalize_invoice, settle_payment
from infra.local.stripe_double.payments import begin_waiting, charge_intent, end_waiting, open_intent, refusal_of
from infra.local.stripe_double.refusals import InvalidRequest, Json
from infra.local.stripe_double.subscriptions import begin_subscription
from infra.local.stripe_double.world import World


def pay_session(world: World, session: Json, card: Card, *, email: str, is_authenticated: bool = False) -> None:
    """Pay with a card.

    raises  CardRefused, then the session stays open; InvalidRequest for one that is not
    """
    _check_open(session)
    if session["mode"] == "payment":
        _pay_once(world, session, card, email, is_authenticated=is_authenticated)
    else:
        _subscribe(world, session, card, email, is_authenticated=is_authenticated)
    _complete(world, session, email, payment_status="paid")


def pay_later(world: World, session: Json, card: Card, *, email: str) -> None:
    """Pay by a bank that tells days later whether it worked.

    raises  InvalidRequest for a session that is not open or is for a subscription
    """
    _check_open(session)
    if session["mode"] != "payment":
        raise InvalidRequest("The double takes delayed payments for single payments only.")
    intent, method = _intent_of(world, session, card, email)
    begin_waiting(world, intent, method)
    _complete(world, session, email, payment_status="unpaid")


def end_delayed_payment(world: World, session: Json, *, succeeds: bool) -> None:
    """Say how a delayed payment ended.

    raises  InvalidRequest when none is waiting
    """
    intent = world.find(session["payment_intent"] or "")
    if intent is None or intent["status"] != "processing":
        raise InvalidRequest("No delayed payment of this session is waiting.")
    end_waiting(world, intent, succeeds=succeeds)
    if succeeds:
        session["payment_status"] = "paid"
        _write_invoice(world, session, intent)
    outcome = "succeeded" if succeeds else "failed"
    world.emit(f"checkout.session.async_payment_{outcome}", session)


def _pay_once(world: World, session: Json, card: Card, email: str, *, is_authenticated: bool) -> None:
    intent, method = _intent_of(world, session, card, email)
    refusal = charge_intent(world, intent, method, is_authenticated=is_authenticated)
    if refusal is not None:
        raise refusal
    if session["customer"] and intent["setup_future_usage"]:
        attach_method(world, {"customer": session["customer"]}, (method["id"],))
    _write_invoice(world, session, intent)


def _intent_of(world: World, session: Json, card: Card, email: str) -> tuple[Json, Json]:
    """Return the session's intent, made at the first try, and a payment method of the card."""
    _take_customer(world, session, email, is_needed=_needs_customer(session))
    method = create_method(world, card, email=email)
    if session["payment_intent"] is not None:
        return world.get("payment_intent", session["payment_intent"]), method
    given = session_request(world, session)["payment_intent_data"]
    names = (
        "description",
        "receipt_email",
        "setup_future_usage",
        "statement_descriptor",
        "statement_descriptor_suffix",
    )
    details = {name: given[name] for name in names if name in given}
    details["metadata"] = merge_metadata({}, given.get("metadata"))
    amount, currency, customer = session["amount_total"], session["currency"], session["customer"]
    intent = open_intent(world, amount=amount, currency=currency, customer=customer, details=details)
    session["payment_intent"] = intent["id"]
    return intent, method


def _subscribe(world: World, session: Json, card: Card, email: str, *, is_authenticated: bool) -> None:
    refusal = refusal_of(card, is_authenticated=is_authenticated)
    if refusal is not None:
        raise refusal
    customer = _take_customer(world, session, email, is_needed=True)
    method = create_method(world, card, email=email)
    attach_method(world, {"customer": customer["id"]}, (method["id"],))
    given = session_request(world, session)["subscription_data"]
    details = {
        "metadata": merge_metadata({}, given.get("metadata")),
        "description": given.get("description"),
        "default_payment_method": method["id"],
        "is_taxed": session["automatic_tax"]["enabled"],
    }
    chosen = [(line["price"], line["quantity"]) for line in session_lines(world, session["id"])]
    subscription, invoice = begin_subscription(world, customer, chosen, details)
    collect_invoice(world, invoice, is_authenticated=is_authenticated)
    session |= {"subscription": subscription["id"], "invoice": invoice["id"]}


def _take_customer(world: World, session: Json, email: str, *, is_needed: bool) -> Json:
    if session["customer"] is not None:
        return world.get("customer", session["customer"])
    if not is_needed:
        return {}
    customer = create_customer(world, {"email": email})
    session["customer"] = customer["id"]
    return customer


def _needs_customer(session: Json) -> bool:
    return bool(session["customer_creation"] == "always" or session["invoice_creation"]["enabled"])


def _write_invoice(world: World, session: Json, intent: Json) -> None:
    """Write the invoice of a single payment, when the session asked for one."""
    if not session["invoice_creation"]["enabled"]:
        return
    customer, now = world.get("customer", session["customer"]), world.now()
    lines = [
        Line(line["amount_subtotal"], line["price"], line["quantity"], now, now, line["description"])
        for line in session_lines(world, session["id"])
    ]
    given = session_request(world, session)["invoice_creation"].get("invoice_data", {})
    is_taxed = session["automatic_tax"]["enabled"]
    terms = Terms("manual", now, now, metadata=merge_metadata({}, given.get("metadata")), is_taxed=is_taxed)
    invoice = draft_invoice(world, customer, lines, terms)
    finalize_invoice(world, invoice)
    settle_payment(world, invoice, intent)
    session["invoice"] = invoice["id"]


def _complete(world: World, session: Json, email: str, *, payment_status: str) -> None:
    session |= {"status": "complete", "payment_status": payment_status, "url": None}
    session["customer_details"] = describe_customer(email, None)
    world.emit("checkout.session.completed", session)


def _check_open(session: Json) -> None:
    if session["status"] != "open":
        raise InvalidRequest(f"This Checkout Session is {session['status']}; it can be paid no more.")
