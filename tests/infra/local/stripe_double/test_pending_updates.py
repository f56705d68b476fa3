"""An upgrade that waits for its money."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import DAY_S, Double

PENDING: Any = {"proration_behavior": "always_invoice", "payment_behavior": "pending_if_incomplete"}


def upgrade(double: Double, subscription: stripe.Subscription, interval: str = "month") -> stripe.Subscription:
    items = [{"id": subscription["items"].data[0].id, "price": double.price(9900, interval, name="Team").id}]
    params: Any = {"items": items, **PENDING}
    return double.api.subscriptions.update(subscription.id, params)


def declined(double: Double, interval: str = "month") -> stripe.Subscription:
    subscription = double.subscribed(2900)
    double.control(f"/customers/{subscription.customer}/card", card="chargeCustomerFail")
    return upgrade(double, subscription, interval)


def price_now(subscription: stripe.Subscription) -> int | None:
    items: list[stripe.SubscriptionItem] = subscription["items"].data
    return items[0].price.unit_amount


def test_what_can_be_paid_is_done_at_once(double: Double) -> None:
    changed = upgrade(double, double.subscribed(2900))

    assert (price_now(changed), changed.pending_update) == (9900, None)


def test_what_cannot_be_paid_changes_nothing_yet(double: Double) -> None:
    waiting = declined(double)
    invoice = double.invoices(waiting)[-1]

    assert (price_now(waiting), waiting.status) == (2900, "active")
    assert waiting.pending_update is not None
    assert waiting.latest_invoice == invoice.id
    assert (invoice.status, invoice.next_payment_attempt) == ("open", None)


@pytest.mark.parametrize("interval", ["month", "year"])
def test_the_change_comes_with_the_money(double: Double, interval: str) -> None:
    waiting = declined(double, interval)
    double.control(f"/customers/{waiting.customer}/card", card="visa")
    double.api.invoices.pay(str(waiting.latest_invoice))
    changed = double.subscription(waiting.id)

    assert (price_now(changed), changed.pending_update) == (9900, None)
    assert changed["items"].data[0].price.recurring.interval == interval
    assert "customer.subscription.pending_update_applied" in double.event_types()


def test_a_change_without_its_money_is_forgotten(double: Double) -> None:
    waiting = declined(double)
    double.control("/clock", ahead_s=DAY_S)
    found = double.subscription(waiting.id)

    assert (price_now(found), found.pending_update) == (2900, None)
    assert double.api.invoices.retrieve(str(waiting.latest_invoice)).status == "void"
    assert double.event_types()[-1] == "customer.subscription.pending_update_expired"


def test_a_second_change_takes_the_place_of_the_first(double: Double) -> None:
    waiting = declined(double)
    again = upgrade(double, waiting)

    assert again.pending_update is not None
    assert [invoice.status for invoice in double.invoices(waiting)] == ["paid", "void", "open"]


def test_what_cannot_wait_is_refused(double: Double) -> None:
    subscription = double.subscribed()
    params: Any = {"metadata": {"a": "b"}, **PENDING}
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.subscriptions.update(subscription.id, params)

    assert caught.value.param == "metadata"
