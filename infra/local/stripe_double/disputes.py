"""Disputes: opened, answered, won or lost, and the money that goes and comes with them."""

import stripe

from infra.local.stripe_double.balance import post_entry
from infra.local.stripe_double.customers import merge_metadata
from infra.local.stripe_double.refusals import InvalidRequest, Json
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.world import World

ANSWER_WITHIN_S = 7 * 86_400
OPEN = frozenset({"needs_response", "under_review", "warning_needs_response", "warning_under_review"})
# What test mode reads in `evidence[uncategorized_text]`: https://docs.stripe.com/testing#disputes
VERDICTS = {"winning_evidence": "won", "losing_evidence": "lost"}


def open_dispute(world: World, charge: Json, *, amount: int | None, reason: str, is_inquiry: bool = False) -> Json:
    """Let the card's owner contest a charge; an inquiry moves no money yet.

    amount: what was not refunded, unless given
    raises  InvalidRequest
    """
    left = charge["amount_captured"] - charge["amount_refunded"]
    disputed = left if amount is None else amount
    if charge["disputed"] or not charge["paid"]:
        raise InvalidRequest(f"Charge {charge['id']} cannot be disputed (again).")
    if not 0 < disputed <= charge["amount_captured"]:
        raise InvalidRequest(f"A dispute of this charge can be for 1 to {charge['amount_captured']}.", param="amount")
    dispute = _new_dispute(world, charge, disputed, reason)
    dispute["is_charge_refundable"] = is_inquiry
    dispute["status"] = "warning_needs_response" if is_inquiry else "needs_response"
    dispute["payment_method_details"]["card"]["case_type"] = "inquiry" if is_inquiry else "chargeback"
    with world.changing(charge, "charge.updated"):
        charge["disputed"] = True
    world.emit("charge.dispute.created", world.add(dispute))
    if not is_inquiry:
        _withdraw(world, dispute)
    return dispute


def close_dispute(world: World, dispute: Json, verdict: str) -> None:
    """End a dispute as won or lost; an inquiry that ends well is a closed warning.

    raises  InvalidRequest when it has ended
    """
    if dispute["status"] not in OPEN:
        raise InvalidRequest("This dispute is already closed", code="dispute_already_closed")
    is_inquiry = dispute["status"].startswith("warning_")
    dispute["status"] = "warning_closed" if is_inquiry else verdict
    dispute["evidence_details"]["past_due"] = False
    world.emit("charge.dispute.closed", dispute)
    if dispute["status"] == "won":
        entry = post_entry(world, "adjustment", dispute, amount=dispute["amount"])
        dispute["balance_transactions"].append(entry)
        world.emit("charge.dispute.funds_reinstated", dispute)


def escalate_dispute(world: World, dispute: Json) -> None:
    """Make a chargeback of an inquiry: now the money goes.

    raises  InvalidRequest
    """
    if not dispute["status"].startswith("warning_") or dispute["status"] not in OPEN:
        raise InvalidRequest("Only an open inquiry can become a chargeback.")
    with world.changing(dispute, "charge.dispute.updated"):
        dispute |= {"status": "needs_response", "is_charge_refundable": False}
        dispute["payment_method_details"]["card"]["case_type"] = "chargeback"
    _withdraw(world, dispute)


def update_dispute(world: World, params: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/disputes/{id}: evidence, which test mode's words decide at once."""
    dispute = world.get("dispute", ids[0])
    evidence = params.get("evidence", {})
    if evidence and dispute["status"] not in OPEN:
        raise InvalidRequest("This dispute is already closed", code="dispute_already_closed")
    with world.changing(dispute, "charge.dispute.updated"):
        dispute["evidence"] |= evidence
        dispute["evidence_details"]["has_evidence"] |= bool(evidence)
        dispute["metadata"] = merge_metadata(dispute["metadata"], params.get("metadata"))
        if evidence and params.get("submit", True):
            dispute["evidence_details"]["submission_count"] += 1
            dispute["status"] = dispute["status"].replace("needs_response", "under_review")
    if verdict := VERDICTS.get(evidence.get("uncategorized_text", "")):
        close_dispute(world, dispute, verdict)
    return dispute


def accept_dispute(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer POST /v1/disputes/{id}/close: it is lost."""
    dispute = world.get("dispute", ids[0])
    close_dispute(world, dispute, "lost")
    return dispute


def get_dispute(world: World, _: Json, ids: tuple[str, ...]) -> Json:
    """Answer GET /v1/disputes/{id}."""
    return world.get("dispute", ids[0])


def _withdraw(world: World, dispute: Json) -> None:
    fee = world.settings.dispute_fee
    entry = post_entry(world, "adjustment", dispute, amount=-dispute["amount"], fee=fee)
    dispute["balance_transactions"].append(entry)
    world.emit("charge.dispute.funds_withdrawn", dispute)


def _new_dispute(world: World, charge: Json, amount: int, reason: str) -> Json:
    details = {"brand": charge["payment_method_details"]["card"]["brand"], "case_type": "chargeback", "network": "visa",
               "network_reason_code": "10.4"}  # fmt: skip
    evidence = build(stripe.Dispute.Evidence, enhanced_evidence={})
    progress = build(
        stripe.Dispute.EvidenceDetails,
        due_by=world.now() + ANSWER_WITHIN_S,
        enhanced_eligibility={},
        has_evidence=False,
        past_due=False,
        submission_count=0,
        submission_method="not_submitted",
    )
    return build(
        stripe.Dispute,
        id=world.new_id("du"),
        amount=amount,
        balance_transactions=[],
        charge=charge["id"],
        created=world.now(),
        currency=charge["currency"],
        enhanced_eligibility_types=[],
        evidence=evidence,
        evidence_details=progress,
        intended_submission_method="manual",
        is_charge_refundable=False,
        livemode=False,
        metadata={},
        network_reason_code="10.4",
        payment_intent=charge["payment_intent"],
        payment_method_details={"card": details, "type": "card"},
        reason=reason,
        status="needs_response",
    )
