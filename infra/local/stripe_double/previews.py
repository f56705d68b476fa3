"""Previews: the invoice that a change, or the next renewal, would make, worked out on a copy of the world."""

import copy

from infra.local.stripe_double.refusals import InvalidRequest, Json, MissingParameter
from infra.local.stripe_double.subscription_changes import apply_changes
from infra.local.stripe_double.subscriptions import find_living, renew_subscription
from infra.local.stripe_double.world import World


def preview_invoice(world: World, params: Json, _: tuple[str, ...] = ()) -> Json:
    """Answer POST /v1/invoices/create_preview for a subscription; nothing changes.

    raises  MissingParameter, ResourceMissing, InvalidRequest
    """
    if "subscription" not in params:
        raise MissingParameter("subscription")
    trial = copy.deepcopy(world)
    subscription = find_living(trial, params["subscription"])
    invoice = apply_changes(trial, subscription, params.get("subscription_details", {}))
    if invoice is None:
        if subscription["cancel_at_period_end"]:
            raise InvalidRequest("No upcoming invoices for customer", code="invoice_upcoming_none")
        renew_subscription(trial, subscription)
        invoice = trial.get("invoice", subscription["latest_invoice"])
    return {**invoice, "id": f"upcoming_{invoice['id']}"}
