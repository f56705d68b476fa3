"""Payment intents and their charges: succeeded, declined, waiting for a bank."""

import stripe

from infra.local.stripe_double.balance import charge_fee, post_entry
from infra.local.stripe_double.cards import Card, card_details
from infra.local.stripe_double.customers import billing_details
from infra.local.stripe_double.disputes import open_dispute
from infra.local.stripe_double.refusals import CardRefused, Json
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.world import World

AUTHENTICATE_MESSAGE = "Your card was declined. This transaction requires authentication."


def open_intent(world: World, *, amount: int, currency: str, customer: str | None, details: Json) -> Json:
    """Make a payment intent that has no payment method yet."""
    intent_id = world.new_id("pi")
    intent = build(
        stripe.PaymentIntent,
        id=intent_id,
        amount=amount,
        amount_capturable=0,
        amount_details={"tip": {}},
        amount_received=0,
        automatic_payment_methods={"allow_redirects": "always", "enabled": True},
        capture_method="automatic_async",
        client_secret=f"{intent_id}_secret_{world.new_id('s', 24).removeprefix('s_')}",
        confirmation_method="automatic",
        created=world.now(),
        currency=currency,
        customer=customer,
        livemode=False,
        payment_method_types=["card"],
        status="requires_payment_method",
        **{"metadata": {}, **details},
    )
    world.emit("payment_intent.created", world.add(intent))
    return intent


def refusal_of(card: Card, *, is_authenticated: bool) -> CardRefused | None:
    """Return how the bank refuses a charge, if it does."""
    if card.needs_authentication and not is_authenticated:
        code = "authentication_required"
        return CardRefused(AUTHENTICATE_MESSAGE, code=code, decline_code=code)
    if card.code is None:
        return None
    return CardRefused(card.message, code=card.code, decline_code=card.decline_code)


def charge_intent(world: World, intent: Json, method: Json, *, is_authenticated: bool) -> CardRefused | None:
    """Charge a card; return the refusal when there is one, with the charge that failed on record."""
    card = world.cards[method["id"]]
    refusal = refusal_of(card, is_authenticated=is_authenticated)
    if refusal is not None:
        _fail(world, intent, method, refusal)
        return refusal
    charge = add_charge(world, intent, method, status="succeeded")
    settle_charge(world, intent, charge)
    return None


def add_charge(world: World, intent: Json, method: Json, *, status: str, refusal: CardRefused | None = None) -> Json:
    """Make a charge on an intent; succeeded, pending or failed."""
    card = world.cards[method["id"]]
    has_money = status == "succeeded"
    charge = build(
        stripe.Charge,
        id=world.new_id("ch"),
        amount=intent["amount"],
        amount_captured=intent["amount"] if has_money else 0,
        amount_refunded=0,
        billing_details=method["billing_details"] or billing_details(None, None),
        calculated_statement_descriptor="STRIPE DOUBLE",
        captured=has_money,
        created=world.now(),
        currency=intent["currency"],
        customer=intent["customer"],
        description=intent["description"],
        disputed=False,
        failure_code=refusal.code if refusal else None,
        failure_message=refusal.message if refusal else None,
        fraud_details={},
        livemode=False,
        metadata=dict(intent["metadata"]),
        outcome=_outcome(refusal),
        paid=has_money,
        payment_intent=intent["id"],
        payment_method=method["id"],
        payment_method_details=_method_details(card, intent["amount"]),
        receipt_email=intent["receipt_email"],
        refunded=False,
        status=status,
    )
    charge["receipt_url"] = f"{world.base_url}/receipts/{charge['id']}" if has_money else None
    intent["latest_charge"] = charge["id"]
    intent["payment_method"] = method["id"]
    return world.add(charge)


def settle_charge(world: World, intent: Json, charge: Json) -> None:
    """Book the money of a charge that succeeded, and say so; its balance transaction is there a moment later."""
    charge |= {"status": "succeeded", "paid": True, "captured": True, "amount_captured": charge["amount"]}
    intent |= {
        "status": "succeeded",
        "amount_received": charge["amount"],
        "last_payment_error": None,
        "next_action": None,
    }
    world.emit("charge.succeeded", charge)
    world.emit("payment_intent.succeeded", intent)
    entry = post_entry(world, "charge", charge, amount=charge["amount"], fee=charge_fee(charge["amount"]))
    with world.changing(charge, "charge.updated"):
        charge["balance_transaction"] = entry["id"]
    card = world.cards[charge["payment_method"]]
    if card.dispute_reason is not None:
        open_dispute(world, charge, amount=None, reason=card.dispute_reason)


def begin_waiting(world: World, intent: Json, method: Json) -> Json:
    """Start a payment whose outcome the bank tells days later."""
    charge = add_charge(world, intent, method, status="pending")
    intent["status"] = "processing"
    world.emit("charge.pending", charge)
    world.emit("payment_intent.processing", intent)
    return charge


def end_waiting(world: World, intent: Json, *, succeeds: bool) -> None:
    """Say how a payment that waited for its bank ended."""
    charge = world.get("charge", intent["latest_charge"])
    if succeeds:
        settle_charge(world, intent, charge)
        return
    refusal = CardRefused("The customer's bank account could not be debited.", code="payment_method_provider_decline")
    charge |= {"status": "failed", "failure_code": refusal.code, "failure_message": refusal.message}
    _note_failure(world, intent, world.get("payment_method", charge["payment_method"]), charge, refusal)


def payment_error(intent: Json, refusal: CardRefused) -> CardRefused:
    """Return the refusal with what the API tells besides: the charge and the intent."""
    refusal.details |= {"charge": intent["latest_charge"], "payment_intent": dict(intent)}
    return refusal


def _fail(world: World, intent: Json, method: Json, refusal: CardRefused) -> None:
    charge = add_charge(world, intent, method, status="failed", refusal=refusal)
    _note_failure(world, intent, method, charge, refusal)


def _note_failure(world: World, intent: Json, method: Json, charge: Json, refusal: CardRefused) -> None:
    intent["last_payment_error"] = {
        **refusal.as_json()["error"],
        "charge": charge["id"],
        "payment_method": dict(method),
    }
    intent |= {"status": "requires_payment_method", "payment_method": None}
    world.emit("charge.failed", charge)
    world.emit("payment_intent.payment_failed", intent)


def _method_details(card: Card, amount: int) -> Json:
    details = build(
        stripe.Charge.PaymentMethodDetails.Card,
        **card_details(card),
        amount_authorized=amount,
        network=card.brand,
    )
    return {"card": details, "type": "card"}


def _outcome(refusal: CardRefused | None) -> Json:
    if refusal is None:
        said = {"network_status": "approved_by_network", "seller_message": "Payment complete.", "type": "authorized"}
    else:
        said = {
            "network_status": "declined_by_network",
            "reason": str(refusal.details.get("decline_code") or refusal.code),
            "seller_message": "The bank did not return any further details with this decline.",
            "type": "issuer_declined",
        }
    return build(stripe.Charge.Outcome, risk_level="normal", risk_score=20, **said)
