"""Refunds: whole, in parts, too much, failed, pending."""

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import Double


def test_a_charge_is_refunded_in_parts_until_nothing_is_left(double: Double) -> None:
    charge = double.paid(2500)
    first = double.api.refunds.create({"charge": charge.id, "amount": 1000, "reason": "requested_by_customer"})
    half = double.api.charges.retrieve(charge.id, {"expand": ["refunds"]})
    double.api.refunds.create({"payment_intent": str(charge.payment_intent)})
    whole = double.api.charges.retrieve(charge.id)

    assert (first.status, first.amount, first.reason) == ("succeeded", 1000, "requested_by_customer")
    assert (half.amount_refunded, half.refunded) == (1000, False)
    assert half.refunds is not None
    assert [refund.id for refund in half.refunds.data] == [first.id]
    assert (whole.amount_refunded, whole.refunded) == (2500, True)
    # The fee of the charge stays with Stripe.
    assert double.balance() == -103
    assert double.event_types().count("charge.refunded") == 2


@pytest.mark.parametrize(("amount", "message"), [(2501, "greater than unrefunded"), (0, "positive"), (-5, "positive")])
def test_an_amount_that_was_not_paid_is_refused(double: Double, amount: int, message: str) -> None:
    charge = double.paid(2500)
    with pytest.raises(stripe.InvalidRequestError, match=message) as caught:
        double.api.refunds.create({"charge": charge.id, "amount": amount})

    assert caught.value.param == "amount"
    assert double.api.charges.retrieve(charge.id).amount_refunded == 0


def test_more_than_is_left_is_refused(double: Double) -> None:
    charge = double.paid(2500)
    double.api.refunds.create({"charge": charge.id, "amount": 2000})

    with pytest.raises(
        stripe.InvalidRequestError, match=r"\(501\) is greater than unrefunded amount on charge \(500\)"
    ):
        double.api.refunds.create({"charge": charge.id, "amount": 501})


def test_a_refunded_charge_is_not_refunded_again(double: Double) -> None:
    charge = double.paid()
    double.api.refunds.create({"charge": charge.id})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.refunds.create({"charge": charge.id})
    assert caught.value.code == "charge_already_refunded"


def test_a_refund_of_nothing_or_in_another_currency_is_refused(double: Double) -> None:
    charge = double.paid()
    with pytest.raises(stripe.InvalidRequestError) as missing:
        double.api.refunds.create({"amount": 5})
    with pytest.raises(stripe.InvalidRequestError) as wrong:
        double.api.refunds.create({"charge": charge.id, "currency": "eur"})

    assert missing.value.code == "parameter_missing"
    assert wrong.value.param == "currency"


def test_a_failed_refund_gives_the_money_back_to_us(double: Double) -> None:
    charge = double.paid(card="refundFail")
    refund = double.api.refunds.retrieve(double.api.refunds.create({"charge": charge.id}).id)
    again = double.api.charges.retrieve(charge.id)

    assert (refund.status, refund.failure_reason) == ("failed", "lost_or_stolen_card")
    assert refund.failure_balance_transaction is not None
    assert (again.amount_refunded, again.refunded) == (0, False)
    assert double.balance() == 2397
    assert "refund.failed" in double.event_types()


def test_a_refund_fails_days_later(double: Double) -> None:
    charge = double.paid()
    refund = double.api.refunds.create({"charge": charge.id, "amount": 1000})
    double.control("/clock", ahead_s=5 * 86_400)
    double.control(f"/refunds/{refund.id}/fail")

    assert double.api.charges.retrieve(charge.id).amount_refunded == 0
    assert "already failed" in double.refused(f"/refunds/{refund.id}/fail")["message"]


def test_a_pending_refund_counts_and_arrives_later(double: Double) -> None:
    charge = double.paid(card="pendingRefund")
    refund = double.api.refunds.create({"charge": charge.id})
    assert refund.status == "pending"
    assert double.api.charges.retrieve(charge.id).refunded
    double.control(f"/refunds/{refund.id}/succeed")

    assert double.api.refunds.retrieve(refund.id).status == "succeeded"


def test_a_refund_made_in_the_dashboard_is_told_like_any_other(double: Double) -> None:
    charge = double.paid()
    double.control("/refunds", charge=charge.id, amount=700)
    (refund,) = double.api.refunds.list({"payment_intent": str(charge.payment_intent)}).data

    assert refund.amount == 700
    assert double.event_types()[-2:] == ["refund.created", "charge.refunded"]
