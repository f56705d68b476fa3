"""Changing plans: what is credited, what is charged, and when."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import DAY_S, NOW, Double, at

# 15 January to 15 February is 31 days.
DAYS = 31


def change(double: Double, subscription: stripe.Subscription, price: stripe.Price, **more: Any) -> stripe.Subscription:
    item = subscription["items"].data[0].id
    params: Any = {"items": [{"id": item, "price": price.id}], **more}
    return double.api.subscriptions.update(subscription.id, params)


def amounts(invoice: stripe.Invoice) -> list[int]:
    return [line.amount for line in invoice.lines.data]


def share(amount: int, days: int) -> int:
    return (2 * amount * days + DAYS) // (2 * DAYS)


def test_an_upgrade_now_charges_the_difference_for_the_rest(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control("/clock", ahead_s=10 * DAY_S)
    changed = change(double, subscription, double.price(9900, "month"), proration_behavior="always_invoice")
    invoice = double.invoices(subscription)[-1]

    left = DAYS - 10
    assert amounts(invoice) == [-share(2900, left), share(9900, left)]
    assert (invoice.total, invoice.status) == (share(9900, left) - share(2900, left), "paid")
    assert (invoice.billing_reason, changed.latest_invoice) == ("subscription_update", invoice.id)
    for line in invoice.lines.data:
        assert line.parent is not None
        assert line.parent.subscription_item_details is not None
        assert line.parent.subscription_item_details.proration
        assert (line.period.start, line.period.end) == (NOW + 10 * DAY_S, at("2026-02-15 12:00"))
    item = changed["items"].data[0]
    assert (item.price.unit_amount, item.current_period_end) == (9900, at("2026-02-15 12:00"))


def test_an_upgrade_waits_for_the_next_invoice_by_default(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control("/clock", ahead_s=10 * DAY_S)
    change(double, subscription, double.price(9900, "month"))
    assert len(double.invoices(subscription)) == 1
    double.move_to("2026-02-15 13:00")

    invoice = double.invoices(subscription)[-1]
    assert amounts(invoice) == [-share(2900, 21), share(9900, 21), 9900]
    details = [line.parent.invoice_item_details for line in invoice.lines.data if line.parent]
    assert [bool(detail and detail.proration) for detail in details] == [True, True, False]
    double.move_to("2026-03-15 13:00")
    assert amounts(double.invoices(subscription)[-1]) == [9900]


def test_without_proration_the_new_price_begins_with_the_next_period(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control("/clock", ahead_s=10 * DAY_S)
    change(double, subscription, double.price(900, "month"), proration_behavior="none")
    double.move_to("2026-02-15 13:00")

    assert [amounts(invoice) for invoice in double.invoices(subscription)] == [[2900], [900]]


def test_a_downgrade_now_becomes_credit_that_the_next_invoice_takes(double: Double) -> None:
    subscription = double.subscribed(9900)
    double.control("/clock", ahead_s=10 * DAY_S)
    change(double, subscription, double.price(2900, "month"), proration_behavior="always_invoice")
    credit = share(9900, 21) - share(2900, 21)
    invoice = double.invoices(subscription)[-1]
    assert (invoice.total, invoice.amount_due, invoice.status) == (-credit, 0, "paid")
    assert double.api.customers.retrieve(str(subscription.customer)).balance == -credit
    double.move_to("2026-02-15 13:00")

    renewal = double.invoices(subscription)[-1]
    assert (renewal.total, renewal.starting_balance) == (2900, -credit)
    assert renewal.amount_paid == max(0, 2900 - credit)
    balance = double.api.customers.retrieve(str(subscription.customer)).balance
    assert balance == min(0, 2900 - credit)


def test_another_interval_begins_a_period_now_and_is_charged_at_once(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control("/clock", ahead_s=10 * DAY_S)
    changed = change(double, subscription, double.price(29000, "year"))
    invoice = double.invoices(subscription)[-1]

    assert amounts(invoice) == [-share(2900, 21), 29000]
    assert changed.billing_cycle_anchor == NOW + 10 * DAY_S
    item = changed["items"].data[0]
    assert (item.current_period_start, item.current_period_end) == (at("2026-01-25 12:00"), at("2027-01-25 12:00"))


def test_more_of_the_same_is_prorated_too(double: Double) -> None:
    subscription = double.subscribed(1000)
    double.control("/clock", ahead_s=10 * DAY_S)
    item = subscription["items"].data[0].id
    params: Any = {"items": [{"id": item, "quantity": 3}], "proration_behavior": "always_invoice"}
    double.api.subscriptions.update(subscription.id, params)

    assert amounts(double.invoices(subscription)[-1]) == [-share(1000, 21), share(3000, 21)]


def test_a_change_without_an_items_id_adds_a_second_item(double: Double) -> None:
    subscription = double.subscribed(2900)
    params: Any = {"items": [{"price": double.price(9900, "month").id}]}
    changed = double.api.subscriptions.update(subscription.id, params)

    assert [item.price.unit_amount for item in changed["items"].data] == [2900, 9900]


def test_a_proration_counts_from_the_day_that_is_given(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control("/clock", ahead_s=10 * DAY_S)
    more: Any = {"proration_behavior": "always_invoice", "proration_date": NOW + 5 * DAY_S}
    change(double, subscription, double.price(9900, "month"), **more)

    assert amounts(double.invoices(subscription)[-1]) == [-share(2900, 26), share(9900, 26)]
    with pytest.raises(stripe.InvalidRequestError) as caught:
        change(double, subscription, double.price(1000, "month"), proration_date=NOW - 1)
    assert caught.value.param == "proration_date"


def test_an_upgrade_that_cannot_be_paid_changes_nothing_when_that_is_wished(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control(f"/customers/{subscription.customer}/card", card="chargeCustomerFail")
    more: Any = {"proration_behavior": "always_invoice", "payment_behavior": "error_if_incomplete"}
    with pytest.raises(stripe.CardError):
        change(double, subscription, double.price(9900, "month"), **more)

    assert double.subscription(subscription.id)["items"].data[0].price.unit_amount == 2900
    assert len(double.invoices(subscription)) == 1


def test_an_upgrade_that_cannot_be_paid_is_past_due_otherwise(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control(f"/customers/{subscription.customer}/card", card="chargeCustomerFail")
    change(double, subscription, double.price(9900, "month"), proration_behavior="always_invoice")

    assert double.subscription(subscription.id).status == "past_due"
    assert double.invoices(subscription)[-1].status == "open"


def euros(double: Double) -> stripe.Price:
    params: Any = {
        "currency": "eur",
        "unit_amount": 100,
        "product_data": {"name": "a"},
        "recurring": {"interval": "month"},
    }
    return double.api.prices.create(params)


def test_a_price_that_does_not_fit_is_refused(double: Double) -> None:
    subscription = double.subscribed(2900)
    for price in (euros(double), double.price(100)):
        with pytest.raises(stripe.InvalidRequestError):
            change(double, subscription, price)
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.subscriptions.update(subscription.id, {"items": [{"id": "si_x", "price": "price_x"}]})
    assert caught.value.param == "items[0][id]"
    with pytest.raises(stripe.InvalidRequestError, match="at least one"):
        item = subscription["items"].data[0].id
        double.api.subscriptions.update(subscription.id, {"items": [{"id": item, "deleted": True}]})
    with pytest.raises(stripe.InvalidRequestError, match="not model"):
        double.api.subscriptions.update(subscription.id, {"payment_behavior": "default_incomplete"})


def test_a_preview_shows_what_an_upgrade_would_cost_and_changes_nothing(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.control("/clock", ahead_s=10 * DAY_S)
    team = double.price(9900, "month")
    before = double.event_types()
    items = [{"id": subscription["items"].data[0].id, "price": team.id}]
    details: Any = {"items": items, "proration_behavior": "always_invoice"}
    preview = double.api.invoices.create_preview({"subscription": subscription.id, "subscription_details": details})
    assert double.event_types() == before
    assert double.subscription(subscription.id)["items"].data[0].price.unit_amount == 2900
    change(double, subscription, team, proration_behavior="always_invoice")

    assert amounts(preview) == amounts(double.invoices(subscription)[-1]) == [-share(2900, 21), share(9900, 21)]


def test_a_preview_without_a_change_is_the_next_renewal(double: Double) -> None:
    subscription = double.subscribed(2900)
    preview = double.api.invoices.create_preview({"subscription": subscription.id})
    assert amounts(preview) == [2900]
    double.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})

    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.invoices.create_preview({"subscription": subscription.id})
    assert caught.value.code == "invoice_upcoming_none"


def test_a_refused_change_changes_nothing(double: Double) -> None:
    subscription = double.subscribed(2900)
    before = double.event_types()
    params: Any = {"metadata": {"a": "b"}, "cancel_at": NOW - 1}
    with pytest.raises(stripe.InvalidRequestError):
        double.api.subscriptions.update(subscription.id, params)
    found = double.subscription(subscription.id)
    assert (found.metadata.to_dict(), found.cancel_at) == ({}, None)
    assert double.event_types() == before

    change(double, subscription, double.price(9900, "month"), proration_behavior="always_invoice")
    (item,) = double.api.subscription_items.list({"subscription": subscription.id}).data
    assert double.api.subscription_items.retrieve(item.id).price.unit_amount == 9900


def test_the_wish_to_end_moves_with_the_period(double: Double) -> None:
    subscription = double.subscribed(2900)
    double.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    changed = change(double, subscription, double.price(29000, "year"))

    assert changed.cancel_at == changed["items"].data[0].current_period_end == at("2027-01-15 12:00")
