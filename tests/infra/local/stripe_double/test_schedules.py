"""Schedules: a cheaper plan from the next period on."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import DAY_S, Double, at


def downgrade(double: Double, subscription: stripe.Subscription, price: stripe.Price) -> stripe.SubscriptionSchedule:
    """Plan the change as Stripe's guide has it: the current phase as it is, then the cheaper one."""
    schedule = double.api.subscription_schedules.create({"from_subscription": subscription.id})
    now = schedule.phases[0]
    current: Any = {"items": [{"price": str(now["items"][0].price), "quantity": 1}], "end_date": now.end_date}
    coming: Any = {"items": [{"price": price.id, "quantity": 1}], "duration": {"interval": "month"}}
    params: Any = {"phases": [{**current, "start_date": now.start_date}, coming], "end_behavior": "release"}
    return double.api.subscription_schedules.update(schedule.id, params)


def price_now(double: Double, subscription: stripe.Subscription) -> int | None:
    items: list[stripe.SubscriptionItem] = double.subscription(subscription.id)["items"].data
    return items[0].price.unit_amount


def test_a_downgrade_comes_with_the_next_period(double: Double) -> None:
    subscription = double.subscribed(9900)
    schedule = downgrade(double, subscription, double.price(2900, "month", name="Dev"))
    assert double.subscription(subscription.id).schedule == schedule.id
    double.control("/clock", ahead_s=20 * DAY_S)
    assert price_now(double, subscription) == 9900
    double.move_to("2026-02-15 13:00")

    assert price_now(double, subscription) == 2900
    assert [invoice.total for invoice in double.invoices(subscription)] == [9900, 2900]
    double.move_to("2026-03-15 13:00")
    released = double.api.subscription_schedules.retrieve(schedule.id)
    assert (released.status, released.released_subscription) == ("released", subscription.id)
    assert double.subscription(subscription.id).schedule is None
    assert [invoice.total for invoice in double.invoices(subscription)] == [9900, 2900, 2900]


def test_a_change_from_years_to_months_begins_when_the_year_ends(double: Double) -> None:
    subscription = double.subscribed(99000, "year")
    downgrade(double, subscription, double.price(2900, "month"))
    double.move_to("2027-01-15 13:00")
    item = double.subscription(subscription.id)["items"].data[0]

    assert (item.current_period_start, item.current_period_end) == (at("2027-01-15 12:00"), at("2027-02-15 12:00"))
    assert [invoice.total for invoice in double.invoices(subscription)] == [99000, 2900]


def test_a_released_schedule_changes_nothing_any_more(double: Double) -> None:
    subscription = double.subscribed(9900)
    schedule = downgrade(double, subscription, double.price(2900, "month"))
    double.api.subscription_schedules.release(schedule.id)
    double.move_to("2026-02-15 13:00")

    assert price_now(double, subscription) == 9900
    with pytest.raises(stripe.InvalidRequestError, match="released"):
        double.api.subscription_schedules.release(schedule.id)


def test_a_schedule_ends_with_its_subscription(double: Double) -> None:
    subscription = double.subscribed(9900)
    schedule = downgrade(double, subscription, double.price(2900, "month"))
    double.api.subscriptions.cancel(subscription.id)

    assert double.api.subscription_schedules.retrieve(schedule.id).status == "canceled"


def test_a_schedule_may_end_the_subscription(double: Double) -> None:
    subscription = double.subscribed(9900)
    schedule = double.api.subscription_schedules.create({"from_subscription": subscription.id})
    double.api.subscription_schedules.update(schedule.id, {"end_behavior": "cancel"})
    double.move_to("2026-02-15 13:00")

    assert double.subscription(subscription.id).status == "canceled"
    assert len(double.invoices(subscription)) == 1


def test_what_a_schedule_manages_is_not_cancelled_directly(double: Double) -> None:
    subscription = double.subscribed(9900)
    double.api.subscription_schedules.create({"from_subscription": subscription.id})

    with pytest.raises(stripe.InvalidRequestError, match="managed by the subscription schedule"):
        double.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    with pytest.raises(stripe.InvalidRequestError, match="already attached"):
        double.api.subscription_schedules.create({"from_subscription": subscription.id})


@pytest.mark.parametrize(
    ("phase", "param"),
    [
        ({"items": [{"price": "price_x"}, {"price": "price_y"}]}, "phases[0][items] with other than one item"),
        ({"items": [{"price": "price_x"}]}, "phases[0][items][0][price]"),
        ({"items": [{"price": "price_x"}], "start_date": 5}, "phases[0][start_date]"),
        ({"items": [{"price": "price_x"}], "trial": True}, "phases[0][trial]"),
    ],
)
def test_a_phase_that_cannot_be_is_refused(double: Double, phase: Any, param: str) -> None:
    schedule = double.api.subscription_schedules.create({"from_subscription": double.subscribed().id})
    with pytest.raises(stripe.InvalidRequestError) as caught:
        double.api.subscription_schedules.update(schedule.id, {"phases": [phase]})

    assert caught.value.param == param
