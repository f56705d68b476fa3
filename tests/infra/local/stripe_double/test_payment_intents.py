"""Payment intents without Checkout: created, confirmed, declined, cancelled."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import Double


def create(double: Double, **more: Any) -> stripe.PaymentIntent:
    params: Any = {"amount": 2000, "currency": "usd", **more}
    return double.api.payment_intents.create(params)


def test_an_intent_is_confirmed_with_a_card(double: Double) -> None:
    intent = create(double, payment_method="pm_card_visa", metadata={"user": "u1"})
    assert intent.status == "requires_confirmation"
    confirmed = double.api.payment_intents.confirm(intent.id)

    assert (confirmed.status, confirmed.amount_received) == ("succeeded", 2000)
    with pytest.raises(stripe.InvalidRequestError, match="status of succeeded") as caught:
        double.api.payment_intents.confirm(intent.id)
    assert caught.value.code == "payment_intent_unexpected_state"


@pytest.mark.parametrize(
    ("card", "code", "decline_code"),
    [
        ("pm_card_chargeDeclined", "card_declined", "generic_decline"),
        ("pm_card_chargeDeclinedInsufficientFunds", "card_declined", "insufficient_funds"),
        ("pm_card_chargeDeclinedExpiredCard", "expired_card", "expired_card"),
        ("pm_card_chargeDeclinedIncorrectCvc", "incorrect_cvc", "incorrect_cvc"),
        ("pm_card_chargeDeclinedProcessingError", "processing_error", "processing_error"),
    ],
)
def test_a_declined_card_raises_the_packages_card_error(
    double: Double, card: str, code: str, decline_code: str
) -> None:
    with pytest.raises(stripe.CardError) as caught:
        create(double, payment_method=card, confirm=True)

    error = caught.value.error
    assert (caught.value.http_status, caught.value.code) == (402, code)
    assert error is not None
    assert error.decline_code == decline_code
    assert error.payment_intent is not None
    assert error.payment_intent.status == "requires_payment_method"
    assert double.api.charges.retrieve(str(error.charge)).status == "failed"
    assert double.balance() == 0


def test_a_card_that_wants_its_owner(double: Double) -> None:
    waiting = create(double, payment_method="pm_card_authenticationRequired", confirm=True)
    assert waiting.status == "requires_action"
    assert waiting.next_action is not None

    with pytest.raises(stripe.CardError) as caught:
        create(double, payment_method="pm_card_authenticationRequired", confirm=True, off_session=True)
    assert caught.value.code == "authentication_required"


def test_a_cancelled_intent_is_over(double: Double) -> None:
    intent = create(double)
    cancelled = double.api.payment_intents.cancel(intent.id, {"cancellation_reason": "abandoned"})

    assert (cancelled.status, cancelled.cancellation_reason) == ("canceled", "abandoned")
    with pytest.raises(stripe.InvalidRequestError):
        double.api.payment_intents.confirm(intent.id, {"payment_method": "pm_card_visa"})


@pytest.mark.parametrize(
    ("params", "param", "code"),
    [
        ({"amount": 49}, "amount", "amount_too_small"),
        ({"amount": 10**8}, "amount", "amount_too_large"),
        ({"currency": "zzz"}, "currency", None),
        ({"customer": "cus_x"}, "customer", "resource_missing"),
        ({"payment_method": "pm_x"}, "payment_method", "resource_missing"),
        ({"payment_method": "pm_card_nothing"}, "payment_method", "resource_missing"),
        ({"off_session": True}, "off_session", None),
        ({"capture_method": "manual"}, "capture_method", "double_not_modelled"),
    ],
)
def test_an_intent_that_cannot_be_is_refused(double: Double, params: Any, param: str, code: str | None) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        create(double, **params)

    assert (caught.value.param, caught.value.code) == (param, code)


def test_an_intent_without_a_card_is_not_confirmed(double: Double) -> None:
    with pytest.raises(stripe.InvalidRequestError, match="missing a payment method"):
        create(double, confirm=True)


def test_metadata_and_description_are_changed_later(double: Double) -> None:
    intent = double.api.payment_intents.update(create(double).id, {"metadata": {"a": "b"}, "description": "x"})

    assert (intent.metadata["a"], intent.description) == ("b", "x")
