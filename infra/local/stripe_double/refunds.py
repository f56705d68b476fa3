"""Refunds: partial or full, at once, pending or failed."""

import stripe

from infra.local.stripe_double.balance import post_entry
from infra.local.stripe_double.cards import RefundFate
from infra.local.stripe_double.customers import merge_metadata
from infra.local.stripe_double.refusals import InvalidRequest, Json, MissingParameter
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.world import World

INQUIRY = "warning_"


def create_refund(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/refunds; the card decides what becomes of it."""
    charge = find_charge(world, params)
    return refund_charge(world, charge, params, world.cards[charge["payment_method"]].refund_fate)


def refund_charge(world: World, charge: Json, params: Json, fate: RefundFate) -> Json:
    """Give money back.

    raises  InvalidRequest when it was given back, is disputed, or was never so much
    """
    amount = _check_amount(world, charge, params)
    refund = build(
        stripe.Refund,
        id=world.new_id("re"),
        amount=amount,
        charge=charge["id"],
        created=world.now(),
        currency=charge["currency"],
        customer=charge["customer"],
        destination_details={"card": {"reference_status": "pending", "type": "refund"}, "type": "card"},
        metadata=merge_metadata({}, params.get("metadata")),
        payment_intent=charge["payment_intent"],
        payment_method=charge["payment_method"],
        reason=params.get("reason"),
        # A refund that will fail looks well until the bank sends it back.
        status="pending" if fate == "pending" else "succeeded",
    )
    entry = post_entry(world, "refund", world.add(refund), amount=-amount)
    refund["balance_transaction"] = entry["id"]
    world.emit("refund.created", refund)
    _count(world, charge, amount, "charge.refunded")
    if fate == "failed":
        fail_refund(world, refund)
    return refund


def fail_refund(world: World, refund: Json, reason: str = "lost_or_stolen_card") -> None:
    """Let the bank send a refund back: the money is ours again.

    raises  InvalidRequest when it has ended otherwise
    """
    if refund["status"] in {"failed", "canceled"}:
        raise InvalidRequest(f"The refund has already {refund['status']}.")
    entry = post_entry(world, "refund_failure", refund, amount=refund["amount"])
    with world.changing(refund, "refund.updated"):
        refund |= {"status": "failed", "failure_reason": reason, "failure_balance_transaction": entry["id"]}
    world.emit("refund.failed", refund)
    world.emit("charge.refund.updated", refund)
    _count(world, world.get("charge", refund["charge"]), -refund["amount"], "charge.updated")


def complete_refund(world: World, refund: Json) -> None:
    """Let a pending refund arrive."""
    with world.changing(refund, "refund.updated"):
        refund["status"] = "succeeded"
    world.emit("charge.refund.updated", refund)


def cancel_refund(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/refunds/{id}/cancel; Stripe takes it only for refunds that wait for the customer."""
    refund = world.get("refund", ids[0])
    raise InvalidRequest(f"Refunds with a status of {refund['status']} cannot be canceled.")


def update_refund(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/refunds/{id}."""
    refund = world.get("refund", ids[0])
    with world.changing(refund, "refund.updated"):
        refund["metadata"] = merge_metadata(refund["metadata"], params.get("metadata"))
    return refund


def get_refund(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/refunds/{id}."""
    return world.get("refund", ids[0])


def find_charge(world: World, params: Json) -> Json:
    """Return the charge that a refund or a dispute names, itself or through its intent.

    raises  MissingParameter, ResourceMissing, InvalidRequest
    """
    if "charge" in params:
        return world.get("charge", params["charge"], param="charge")
    if "payment_intent" not in params:
        raise MissingParameter("charge")
    intent = world.get("payment_intent", params["payment_intent"], param="payment_intent")
    if intent["latest_charge"] is None:
        raise InvalidRequest(
            f"This PaymentIntent ({intent['id']}) does not have a successful charge to refund.", param="payment_intent"
        )
    return world.get("charge", intent["latest_charge"])


def _check_amount(world: World, charge: Json, params: Json) -> int:
    left = charge["amount_captured"] - charge["amount_refunded"]
    if not charge["paid"]:
        raise InvalidRequest(f"Charge {charge['id']} is not paid; it cannot be refunded.", param="charge")
    _check_dispute(world, charge)
    if charge["refunded"] or left == 0:
        raise InvalidRequest(f"Charge {charge['id']} has already been refunded.", code="charge_already_refunded")
    if params.get("currency", charge["currency"]) != charge["currency"]:
        raise InvalidRequest("The currency of a refund must be that of its charge.", param="currency")
    amount = int(params.get("amount", left))
    if amount <= 0:
        raise InvalidRequest("Invalid positive integer", param="amount", code="parameter_invalid_integer")
    if amount > left:
        raise InvalidRequest(
            f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})", param="amount"
        )
    return amount


def _check_dispute(world: World, charge: Json) -> None:
    for dispute in world.rows("dispute"):
        is_chargeback = not dispute["status"].startswith(INQUIRY) and dispute["status"] != "won"
        if dispute["charge"] == charge["id"] and is_chargeback:
            raise InvalidRequest(
                f"Charge {charge['id']} has been charged back; cannot issue a refund.", code="charge_disputed"
            )


def _count(world: World, charge: Json, amount: int, event_type: str) -> None:
    with world.changing(charge, event_type):
        charge["amount_refunded"] += amount
        charge["refunded"] = charge["amount_refunded"] == charge["amount_captured"]
