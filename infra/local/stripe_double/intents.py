"""The payment intent endpoints: create, confirm, update, cancel; and changes of a charge."""

from infra.local.stripe_double.catalog import check_charge_amount, check_currency
from infra.local.stripe_double.customers import attach_method, find_customer, merge_metadata, take_method
from infra.local.stripe_double.payments import charge_intent, open_intent, payment_error
from infra.local.stripe_double.refusals import InvalidRequest, Json
from infra.local.stripe_double.world import World

DETAILS = ("description", "receipt_email", "setup_future_usage", "statement_descriptor", "statement_descriptor_suffix")
CONFIRMABLE = frozenset({"requires_payment_method", "requires_confirmation", "requires_action"})


def create_intent(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/payment_intents.

    raises  CardRefused when confirm was asked for and the card is declined
    """
    check_currency(params["currency"], "currency")
    currency = params["currency"].lower()
    check_charge_amount(params["amount"], currency, "amount")
    customer = params.get("customer")
    if customer is not None:
        find_customer(world, customer, param="customer")
    if params.get("off_session") and not params.get("confirm"):
        raise InvalidRequest("off_session can only be used when confirm is true.", param="off_session")
    details = {name: params[name] for name in DETAILS if name in params}
    details["metadata"] = merge_metadata({}, params.get("metadata"))
    intent = open_intent(world, amount=params["amount"], currency=currency, customer=customer, details=details)
    if "payment_method" in params:
        _take(world, intent, params["payment_method"])
    return confirm_intent(world, params, (intent["id"],)) if params.get("confirm") else intent


def confirm_intent(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/payment_intents/{id}/confirm.

    raises  CardRefused
    """
    intent = world.get("payment_intent", ids[0])
    _check_state(intent, CONFIRMABLE, "confirm")
    if "payment_method" in params:
        _take(world, intent, params["payment_method"])
    if intent["payment_method"] is None:
        raise InvalidRequest(
            "You cannot confirm this PaymentIntent because it's missing a payment method. You can either update the"
            " PaymentIntent with a payment method and then confirm it again, or confirm it again directly with a"
            " payment method or ConfirmationToken.",
            code="payment_intent_unexpected_state",
        )
    method = world.get("payment_method", intent["payment_method"])
    if world.cards[method["id"]].needs_authentication and not params.get("off_session"):
        return _ask_owner(world, intent)
    refusal = charge_intent(world, intent, method, is_authenticated=False)
    if refusal is not None:
        raise payment_error(intent, refusal)
    if intent["customer"] and intent["setup_future_usage"]:
        attach_method(world, {"customer": intent["customer"]}, (method["id"],))
    return intent


def update_intent(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/payment_intents/{id}."""
    intent = world.get("payment_intent", ids[0])
    if "amount" in params:
        _check_state(intent, CONFIRMABLE, "update")
        check_charge_amount(params["amount"], intent["currency"], "amount")
        intent["amount"] = params["amount"]
    if "payment_method" in params:
        _check_state(intent, CONFIRMABLE, "update")
        _take(world, intent, params["payment_method"])
    intent |= {name: params[name] or None for name in DETAILS if name in params}
    intent["metadata"] = merge_metadata(intent["metadata"], params.get("metadata"))
    return intent


def cancel_intent(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/payment_intents/{id}/cancel."""
    intent = world.get("payment_intent", ids[0])
    _check_state(intent, CONFIRMABLE, "cancel")
    reason = params.get("cancellation_reason")
    intent |= {"status": "canceled", "canceled_at": world.now(), "cancellation_reason": reason}
    world.emit("payment_intent.canceled", intent)
    return intent


def get_intent(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/payment_intents/{id}."""
    return world.get("payment_intent", ids[0])


def get_charge(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/charges/{id}."""
    return world.get("charge", ids[0])


def update_charge(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/charges/{id}."""
    charge = world.get("charge", ids[0])
    with world.changing(charge, "charge.updated"):
        charge |= {name: params[name] or None for name in ("description", "receipt_email") if name in params}
        charge["metadata"] = merge_metadata(charge["metadata"], params.get("metadata"))
    return charge


def _take(world: World, intent: Json, method_id: str) -> None:
    method = take_method(world, method_id, param="payment_method")
    if method["customer"] is not None and method["customer"] != intent["customer"]:
        raise InvalidRequest(
            "The provided PaymentMethod cannot be attached. To reuse a PaymentMethod, you must attach it to a Customer"
            " first.",
            param="payment_method",
        )
    intent |= {"payment_method": method["id"], "status": "requires_confirmation"}


def _ask_owner(world: World, intent: Json) -> Json:
    url = f"{world.base_url}/authenticate/{intent['id']}"
    action = {"redirect_to_url": {"return_url": None, "url": url}, "type": "redirect_to_url"}
    intent |= {"status": "requires_action", "next_action": action}
    world.emit("payment_intent.requires_action", intent)
    return intent


def _check_state(intent: Json, allowed: frozenset[str], verb: str) -> None:
    if intent["status"] not in allowed:
        raise InvalidRequest(
            f"You cannot {verb} this PaymentIntent because it has a status of {intent['status']}.",
            code="payment_intent_unexpected_state",
            payment_intent=dict(intent),
        )
