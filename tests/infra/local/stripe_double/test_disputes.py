"""Disputes: the money goes, comes back when they are won, and a fee stays gone."""

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import Double

FEE = 1500
NET = 2397


def dispute_of(double: Double, charge: stripe.Charge) -> stripe.Dispute:
    (dispute,) = double.api.disputes.list({"charge": charge.id}).data
    return dispute


def test_a_lost_dispute_keeps_the_money(double: Double) -> None:
    charge = double.paid()
    double.control("/disputes", charge=charge.id, reason="fraudulent")
    dispute = dispute_of(double, charge)
    assert (dispute.status, dispute.amount, dispute.is_charge_refundable) == ("needs_response", 2500, False)
    assert double.balance() == NET - 2500 - FEE
    double.control(f"/disputes/{dispute.id}/lose")

    assert double.api.disputes.retrieve(dispute.id).status == "lost"
    assert double.balance() == NET - 2500 - FEE
    assert double.api.charges.retrieve(charge.id).disputed
    assert [name for name in double.event_types() if "dispute" in name] == [
        "charge.dispute.created",
        "charge.dispute.funds_withdrawn",
        "charge.dispute.closed",
    ]


def test_a_won_dispute_brings_the_money_back_without_the_fee(double: Double) -> None:
    charge = double.paid()
    dispute_id = double.control("/disputes", charge=charge.id)["id"]
    double.control(f"/disputes/{dispute_id}/win")
    dispute = double.api.disputes.retrieve(dispute_id)

    assert dispute.status == "won"
    assert [row.amount for row in dispute.balance_transactions] == [-2500, 2500]
    assert double.balance() == NET - FEE
    assert double.event_types()[-1] == "charge.dispute.funds_reinstated"
    assert "already closed" in double.refused(f"/disputes/{dispute_id}/lose")["message"]


def test_the_rest_of_a_half_refunded_charge_is_disputed(double: Double) -> None:
    charge = double.paid(2500)
    double.api.refunds.create({"charge": charge.id, "amount": 1250})
    double.control("/disputes", payment_intent=charge.payment_intent)

    assert dispute_of(double, charge).amount == 1250


def test_a_disputed_charge_is_not_refunded(double: Double) -> None:
    charge = double.paid()
    double.control("/disputes", charge=charge.id, amount=500)

    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.refunds.create({"charge": charge.id})
    assert caught.value.code == "charge_disputed"


def test_an_inquiry_moves_no_money_until_it_grows(double: Double) -> None:
    charge = double.paid()
    dispute_id = double.control("/disputes", charge=charge.id, is_inquiry=True)["id"]
    assert double.api.disputes.retrieve(dispute_id).status == "warning_needs_response"
    assert double.balance() == NET
    double.control(f"/disputes/{dispute_id}/escalate")

    assert double.api.disputes.retrieve(dispute_id).status == "needs_response"
    assert double.balance() == NET - 2500 - FEE


def test_an_inquiry_that_ends_well_is_a_closed_warning(double: Double) -> None:
    charge = double.paid()
    dispute_id = double.control("/disputes", charge=charge.id, is_inquiry=True)["id"]
    double.api.refunds.create({"charge": charge.id})
    double.control(f"/disputes/{dispute_id}/win")

    assert double.api.disputes.retrieve(dispute_id).status == "warning_closed"


@pytest.mark.parametrize(("text", "status"), [("winning_evidence", "won"), ("losing_evidence", "lost"),
                                              ("a letter", "under_review")])  # fmt: skip
def test_evidence_decides_as_in_test_mode(double: Double, text: str, status: str) -> None:
    charge = double.paid(card="createDispute")
    dispute = dispute_of(double, charge)
    answered = double.api.disputes.update(dispute.id, {"evidence": {"uncategorized_text": text}})

    assert answered.status == status
    assert answered.evidence_details.submission_count == 1


def test_accepting_a_dispute_loses_it(double: Double) -> None:
    dispute = dispute_of(double, double.paid(card="createDisputeProductNotReceived"))
    assert dispute.reason == "product_not_received"

    assert double.api.disputes.close(dispute.id).status == "lost"
    with pytest.raises(stripe.InvalidRequestError, match="already closed"):
        double.api.disputes.close(dispute.id)


@pytest.mark.parametrize("amount", [0, 2501])
def test_more_than_was_paid_is_not_disputed(double: Double, amount: int) -> None:
    charge = double.paid(2500)

    assert double.refused("/disputes", charge=charge.id, amount=amount)["param"] == "amount"


def test_a_charge_is_disputed_once(double: Double) -> None:
    charge = double.paid()
    double.control("/disputes", charge=charge.id)

    assert "again" in double.refused("/disputes", charge=charge.id)["message"]
