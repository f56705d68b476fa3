"""Pending updates: a change that waits for its money and is forgotten when that does not come.

source  https://docs.stripe.com/billing/subscriptions/pending-updates-reference
"""

import copy

import stripe

from infra.local.stripe_double.collection import default_method
from infra.local.stripe_double.invoices import attempt_payment, finalize_invoice, void_invoice
from infra.local.stripe_double.refusals import InvalidRequest, Json
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.subscription_changes import apply_move, is_payable, read_move, update_subscription
from infra.local.stripe_double.subscriptions import find_living, period_end
from infra.local.stripe_double.world import World

PENDING = "pending_if_incomplete"
SUPPORTED = frozenset(
    {"expand", "payment_behavior", "proration_behavior", "proration_date", "billing_cycle_anchor", "items"}
)
KEPT_S = 23 * 3_600


def change_subscription(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/subscriptions/{id}.

    raises  CardRefused with payment_behavior error_if_incomplete, then nothing has changed
    """
    subscription = find_living(world, ids[0])
    if "items" in params:
        discard_update(world, subscription)
    if params.get("payment_behavior") != PENDING:
        return update_subscription(world, params, ids)
    if others := sorted(params.keys() - SUPPORTED):
        raise InvalidRequest(
            f"You cannot pass `{others[0]}` with `payment_behavior` set to `{PENDING}`.", param=others[0]
        )
    move = read_move(world, subscription, params)
    if move is None or is_payable(world, subscription, move):
        return update_subscription(world, {**params, "payment_behavior": "allow_incomplete"}, ids)
    _keep_waiting(world, subscription, params)
    return subscription


def discard_update(world: World, subscription: Json) -> None:
    """Forget a change that waits; its invoice is void."""
    if subscription["pending_update"] is None:
        return
    invoice = world.get("invoice", subscription["latest_invoice"])
    with world.changing(subscription, "customer.subscription.updated"):
        subscription["pending_update"] = None
    if invoice["status"] == "open":
        void_invoice(world, invoice)


def expire_update(world: World, subscription: Json) -> None:
    """Forget a change whose money did not come in time."""
    discard_update(world, subscription)
    world.emit("customer.subscription.pending_update_expired", subscription)


def _keep_waiting(world: World, subscription: Json, params: Json) -> None:
    """Work the change out on a copy, write its invoice, try to charge it in vain, and keep the rest for later."""
    trial = copy.deepcopy(subscription)
    move = read_move(world, trial, params)
    invoice = None if move is None else apply_move(world, trial, move)
    if invoice is None or move is None:
        raise AssertionError("a change that is not payable has an invoice")
    finalize_invoice(world, invoice)
    attempt_payment(world, invoice, default_method(world, invoice), is_authenticated=False)
    world.emit("invoice.payment_failed", invoice)
    pending = build(
        stripe.Subscription.PendingUpdate,
        expires_at=min(world.now() + KEPT_S, period_end(subscription)),
        subscription_items=trial["items"]["data"],
        billing_cycle_anchor=trial["billing_cycle_anchor"] if move.resets_cycle else None,
    )
    with world.changing(subscription, "customer.subscription.updated"):
        subscription |= {"latest_invoice": invoice["id"], "pending_update": pending}
