"""Checkout sessions: made, paid, declined, expired; single payments and plans."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import DAY_S, NOW, Double


def test_a_paid_session_has_an_intent_a_charge_and_the_money(double: Double) -> None:
    session = double.session(client_reference_id="u1", metadata={"order": "7"},
                             payment_intent_data={"metadata": {"user": "u1"}})  # fmt: skip
    assert (session.status, session.payment_status, session.payment_intent) == ("open", "unpaid", None)

    paid = double.pay(session, email="ada@example.com")
    intent = double.api.payment_intents.retrieve(
        str(paid.payment_intent), {"expand": ["latest_charge.balance_transaction"]}
    )
    charge = intent.latest_charge
    assert (paid.status, paid.payment_status, paid.url) == ("complete", "paid", None)
    assert paid.client_reference_id == "u1"
    assert paid.customer_details is not None
    assert paid.customer_details.email == "ada@example.com"
    assert (intent.status, intent.amount_received, intent.metadata["user"]) == ("succeeded", 2500, "u1")
    assert isinstance(charge, stripe.Charge)
    assert isinstance(charge.balance_transaction, stripe.BalanceTransaction)
    # 2.9 % and 30 cents of 25 dollars, halves up: 73 + 30.
    assert (charge.balance_transaction.fee, charge.balance_transaction.net) == (103, 2397)


def test_one_payment_is_told_in_five_ways(double: Double) -> None:
    double.paid()

    assert double.event_types()[2:] == [
        "payment_intent.created",
        "charge.succeeded",
        "payment_intent.succeeded",
        "charge.updated",
        "checkout.session.completed",
    ]


def test_a_guest_gets_no_customer_unless_one_is_wished(double: Double) -> None:
    assert double.pay(double.session()).customer is None
    assert double.pay(double.session(customer_creation="always")).customer is not None


def test_an_invoice_is_written_when_it_is_wished(double: Double) -> None:
    session = double.pay(double.session(invoice_creation={"enabled": True}))
    invoice = double.api.invoices.retrieve(str(session.invoice), {"expand": ["payments"]})
    (payment,) = double.api.invoice_payments.list(
        {"payment": {"type": "payment_intent", "payment_intent": str(session.payment_intent)}}
    ).data

    assert (invoice.status, invoice.total, invoice.billing_reason, invoice.parent) == ("paid", 2500, "manual", None)
    assert payment.invoice == invoice.id
    assert invoice.payments is not None
    assert invoice.payments.data[0].id == payment.id


def test_a_declined_card_leaves_the_session_open_and_the_next_try_uses_the_same_intent(double: Double) -> None:
    session = double.session()
    error = double.refused(f"/sessions/{session.id}/pay", card="chargeDeclinedInsufficientFunds")
    failed = double.api.checkout.sessions.retrieve(session.id, {"expand": ["payment_intent"]})
    paid = double.pay(session)

    assert (error["type"], error["code"], error["decline_code"]) == (
        "card_error",
        "card_declined",
        "insufficient_funds",
    )
    assert failed.status == "open"
    assert isinstance(failed.payment_intent, stripe.PaymentIntent)
    assert failed.payment_intent.status == "requires_payment_method"
    assert failed.payment_intent.last_payment_error is not None
    assert failed.payment_intent.last_payment_error.decline_code == "insufficient_funds"
    assert paid.payment_intent == failed.payment_intent.id
    charges = double.api.charges.list({"payment_intent": failed.payment_intent.id}).data
    assert [charge.status for charge in charges] == ["succeeded", "failed"]


def test_a_session_is_paid_once(double: Double) -> None:
    session = double.session()
    double.pay(session)

    assert "complete" in double.refused(f"/sessions/{session.id}/pay")["message"]


def test_a_delayed_payment_is_complete_before_it_is_paid(double: Double) -> None:
    session = double.pay(double.session(), delayed=True)
    intent = double.api.payment_intents.retrieve(str(session.payment_intent))
    assert (session.status, session.payment_status, intent.status) == ("complete", "unpaid", "processing")
    assert double.balance() == 0

    double.control(f"/sessions/{session.id}/succeed")
    assert double.api.checkout.sessions.retrieve(session.id).payment_status == "paid"
    assert double.event_types()[-1] == "checkout.session.async_payment_succeeded"
    assert double.balance() == 2397
    assert "waiting" in double.refused(f"/sessions/{session.id}/fail")["message"]


def test_a_delayed_payment_may_fail(double: Double) -> None:
    session = double.pay(double.session(), delayed=True)
    double.control(f"/sessions/{session.id}/fail")
    intent = double.api.payment_intents.retrieve(str(session.payment_intent), {"expand": ["latest_charge"]})

    assert double.api.checkout.sessions.retrieve(session.id).payment_status == "unpaid"
    assert intent.status == "requires_payment_method"
    assert isinstance(intent.latest_charge, stripe.Charge)
    assert intent.latest_charge.status == "failed"
    assert double.event_types()[-3:] == [
        "charge.failed",
        "payment_intent.payment_failed",
        "checkout.session.async_payment_failed",
    ]


def test_a_session_expires_by_itself_or_on_demand(double: Double) -> None:
    first, second = double.session(), double.session()
    double.api.checkout.sessions.expire(first.id)
    double.control("/clock", ahead_s=DAY_S)

    assert double.api.checkout.sessions.retrieve(second.id).status == "expired"
    assert double.event_types().count("checkout.session.expired") == 2
    with pytest.raises(stripe.InvalidRequestError, match="Only Checkout Sessions"):
        double.api.checkout.sessions.expire(first.id)


def test_a_plan_makes_a_customer_a_subscription_and_a_paid_invoice(double: Double) -> None:
    session = double.pay(
        double.plan_session(double.price(2900, "month", name="Dev"), subscription_data={"metadata": {"user": "u1"}})
    )
    subscription = double.api.subscriptions.retrieve(str(session.subscription), {"expand": ["latest_invoice"]})
    invoice = subscription.latest_invoice

    assert subscription.status == "active"
    assert subscription.metadata["user"] == "u1"
    assert subscription.customer == session.customer
    assert subscription["items"].data[0].current_period_start == NOW
    assert isinstance(invoice, stripe.Invoice)
    assert (invoice.status, invoice.amount_paid, invoice.billing_reason) == ("paid", 2900, "subscription_create")
    assert invoice.parent is not None
    assert invoice.parent.subscription_details is not None
    assert invoice.parent.subscription_details.subscription == subscription.id
    line = invoice.lines.data[0]
    assert line.parent is not None
    assert line.parent.subscription_item_details is not None
    assert line.parent.subscription_item_details.proration is False
    assert line.period.end == subscription["items"].data[0].current_period_end
    assert line.pricing is not None
    assert line.pricing.price_details is not None
    assert line.pricing.price_details.price == subscription["items"].data[0].price.id


def test_a_declined_plan_makes_no_subscription(double: Double) -> None:
    session = double.plan_session(double.price(2900, "month"))
    double.refused(f"/sessions/{session.id}/pay", card="chargeDeclined")

    assert double.api.subscriptions.list({"status": "all"}).data == []
    assert double.pay(session).status == "complete"


def test_the_lines_of_a_session_are_listed(double: Double) -> None:
    price = double.price(500)
    session = double.session(line_items=[{"price": price.id, "quantity": 3}])
    (line,) = double.api.checkout.sessions.line_items.list(session.id).data

    assert (line.quantity, line.amount_total, session.amount_total) == (3, 1500, 1500)
    assert line.price is not None
    assert line.price.id == price.id


USD = {"currency": "usd", "unit_amount": 1000, "product_data": {"name": "a"}}
EUR = {"currency": "eur", "unit_amount": 1000, "product_data": {"name": "a"}}
MONTHLY = {**USD, "recurring": {"interval": "month"}}


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"line_items": [{"price": "price_x", "quantity": 1}]}, "line_items[0][price]"),
        ({"line_items": [{"price_data": USD}]}, "line_items[0]"),
        ({"line_items": [{"price_data": USD, "quantity": 0}]}, "line_items[0][quantity]"),
        ({"line_items": [{"price_data": {**USD, "unit_amount": 49}, "quantity": 1}]}, "line_items"),
        ({"line_items": [{"price_data": {**USD, "unit_amount": 10**8}, "quantity": 1}]}, "line_items"),
        ({"line_items": [{"price_data": USD, "quantity": 1}, {"price_data": EUR, "quantity": 1}]}, "line_items"),
        ({"line_items": [{"price_data": {**USD, "currency": "zzz"}, "quantity": 1}]}, "currency"),
        ({"line_items": [{"price_data": MONTHLY, "quantity": 1}]}, "line_items"),
        ({"mode": "subscription"}, "line_items"),
        ({"currency": "eur"}, "line_items"),
        ({"customer": "cus_x"}, "customer"),
        ({"subscription_data": {"description": "x"}}, "subscription_data"),
        ({"expires_at": NOW + 60}, "expires_at"),
        ({"expires_at": NOW + 2 * DAY_S}, "expires_at"),
        ({"success_url": None}, "success_url"),
        ({"mode": None}, "mode"),
    ],
)
def test_a_session_that_cannot_be_is_refused(double: Double, params: Any, param: str) -> None:
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.session(**params)

    assert caught.value.param == param


def test_a_customer_keeps_one_currency(double: Double) -> None:
    subscription = double.subscribed()
    data = {**EUR, "recurring": {"interval": "month"}}
    session = double.session(mode="subscription", customer=subscription.customer,
                             line_items=[{"price_data": data, "quantity": 1}])  # fmt: skip

    assert "combine currencies" in double.refused(f"/sessions/{session.id}/pay")["message"]


def test_sessions_are_found_by_what_they_made(double: Double) -> None:
    session = double.pay(double.session())
    double.session()
    sessions = double.api.checkout.sessions

    (found,) = sessions.list({"payment_intent": str(session.payment_intent)}).data
    assert found.id == session.id
    assert [row.status for row in sessions.list({"status": "open"}).data] == ["open"]


def test_a_refused_session_leaves_no_price_behind(double: Double) -> None:
    with pytest.raises(stripe.InvalidRequestError):
        double.session(line_items=[{"price_data": USD, "quantity": 1}, {"price_data": EUR, "quantity": 1}])
    with pytest.raises(stripe.InvalidRequestError, match="expanded"):
        double.session(expand=["nothing"])

    assert double.api.products.list().data == []
    assert double.event_types() == []
