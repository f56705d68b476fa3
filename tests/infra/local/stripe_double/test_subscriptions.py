"""Subscriptions: renewed on the right day, cancelled, unpaid, and paid again."""

from typing import Any

import pytest
import stripe

from tests.infra.local.stripe_double.conftest import DAY_S, Double, at

HOUR_S = 3_600


def period(subscription: stripe.Subscription) -> tuple[int, int]:
    item = subscription["items"].data[0]
    return item.current_period_start, item.current_period_end


@pytest.mark.parametrize(
    ("begun", "interval", "ends"),
    [
        ("2026-01-31 10:00", "month", ["2026-02-28 10:00", "2026-03-31 10:00", "2026-04-30 10:00", "2026-05-31 10:00"]),
        ("2028-01-30 10:00", "month", ["2028-02-29 10:00", "2028-03-30 10:00"]),
        ("2028-02-29 00:00", "year", ["2029-02-28 00:00", "2030-02-28 00:00", "2031-02-28 00:00", "2032-02-29 00:00"]),
        ("2026-12-31 23:59", "month", ["2027-01-31 23:59", "2027-02-28 23:59", "2027-03-31 23:59"]),
    ],
)
def test_periods_keep_their_day_over_month_ends_and_leap_days(
    double: Double, begun: str, interval: str, ends: list[str]
) -> None:
    double.control("/reset", now=at(begun))
    subscription = double.subscribed(interval=interval)
    start = at(begun)
    for end in ends:
        assert period(double.subscription(subscription.id)) == (start, at(end))
        start = at(end)
        double.move_to(end)

    assert len(double.invoices(subscription)) == 1 + len(ends)


def test_a_renewal_is_charged_an_hour_after_its_period_began(double: Double) -> None:
    subscription = double.subscribed()
    end = period(subscription)[1]
    double.control("/clock", to=end)
    draft = double.invoices(subscription)[-1]
    assert (draft.status, draft.billing_reason, draft.amount_paid) == ("draft", "subscription_cycle", 0)
    assert double.subscription(subscription.id).status == "active"
    double.control("/clock", ahead_s=HOUR_S)

    paid = double.invoices(subscription)[-1]
    assert (paid.id, paid.status, paid.amount_paid) == (draft.id, "paid", 2900)
    # The invoice looks back on the period that ended, its line ahead on the one that began.
    assert (paid.period_start, paid.period_end) == period(subscription)
    line = paid.lines.data[0]
    assert (line.period.start, line.period.end) == period(double.subscription(subscription.id))


def test_a_year_of_renewals_in_one_step(double: Double) -> None:
    subscription = double.subscribed()
    double.move_to("2027-01-15 12:00")
    double.control("/clock", ahead_s=HOUR_S)

    assert [invoice.status for invoice in double.invoices(subscription)] == ["paid"] * 13
    assert double.event_types().count("invoice.paid") == 13


def test_a_cancelled_plan_ends_with_its_period(double: Double) -> None:
    subscription = double.subscribed()
    wished = double.api.subscriptions.update(subscription.id, {"cancel_at_period_end": True})
    assert (wished.status, wished.cancel_at, wished.canceled_at) == (
        "active",
        period(subscription)[1],
        at("2026-01-15 12:00"),
    )
    assert wished.cancellation_details is not None
    assert wished.cancellation_details.reason == "cancellation_requested"
    double.control("/clock", to=period(subscription)[1])

    ended = double.subscription(subscription.id)
    assert (ended.status, ended.ended_at) == ("canceled", period(subscription)[1])
    assert len(double.invoices(subscription)) == 1
    assert double.event_types()[-1] == "customer.subscription.deleted"


def test_a_plan_is_cancelled_at_once(double: Double) -> None:
    subscription = double.subscribed()
    details: Any = {"cancellation_details": {"comment": "bye", "feedback": "unused"}}
    ended = double.api.subscriptions.cancel(subscription.id, details)
    double.control("/clock", ahead_s=40 * DAY_S)

    assert ended.status == "canceled"
    assert ended.cancellation_details is not None
    assert ended.cancellation_details.feedback == "unused"
    assert len(double.invoices(subscription)) == 1
    with pytest.raises(stripe.InvalidRequestError, match="canceled subscription"):
        double.api.subscriptions.update(subscription.id, {"cancel_at_period_end": False})
    with pytest.raises(stripe.InvalidRequestError):
        double.api.subscriptions.cancel(subscription.id)


def test_a_plan_ends_on_a_chosen_day(double: Double) -> None:
    subscription = double.subscribed()
    day = at("2026-03-01 00:00")
    double.api.subscriptions.update(subscription.id, {"cancel_at": day})
    double.move_to("2026-04-01 00:00")

    assert double.subscription(subscription.id).ended_at == day


def fail_renewal(double: Double, subscription: stripe.Subscription) -> None:
    double.control(f"/customers/{subscription.customer}/card", card="chargeCustomerFail")
    double.control("/clock", to=period(subscription)[1] + HOUR_S)


def test_a_failed_renewal_is_past_due_then_unpaid(double: Double) -> None:
    subscription = double.subscribed()
    fail_renewal(double, subscription)
    failed = double.invoices(subscription)[-1]
    assert double.subscription(subscription.id).status == "past_due"
    assert (failed.status, failed.attempt_count, failed.amount_remaining) == ("open", 1, 2900)
    assert failed.next_payment_attempt is not None
    double.control("/clock", ahead_s=15 * DAY_S)

    assert double.subscription(subscription.id).status == "unpaid"
    assert double.invoices(subscription)[-1].attempt_count == 4
    assert double.event_types().count("invoice.payment_failed") == 4


def test_an_unpaid_plan_drafts_invoices_that_nobody_collects(double: Double) -> None:
    subscription = double.subscribed()
    fail_renewal(double, subscription)
    double.control("/clock", ahead_s=35 * DAY_S)

    newest = double.invoices(subscription)[-1]
    assert (newest.status, newest.auto_advance) == ("draft", False)


@pytest.mark.parametrize(
    ("setting", "status"), [("cancel", "canceled"), ("past_due", "past_due"), ("unpaid", "unpaid")]
)
def test_the_owner_decides_what_becomes_of_what_stays_unpaid(double: Double, setting: str, status: str) -> None:
    double.control("/settings", after_retries=setting)
    subscription = double.subscribed()
    fail_renewal(double, subscription)
    double.control("/clock", ahead_s=16 * DAY_S)

    found = double.subscription(subscription.id)
    assert found.status == status
    if status == "canceled":
        assert found.cancellation_details is not None
        assert found.cancellation_details.reason == "payment_failed"


def test_a_new_card_pays_at_the_next_attempt(double: Double) -> None:
    subscription = double.subscribed()
    fail_renewal(double, subscription)
    double.control(f"/customers/{subscription.customer}/card", card="mastercard")
    double.control("/clock", ahead_s=3 * DAY_S)

    assert double.subscription(subscription.id).status == "active"
    assert double.invoices(subscription)[-1].status == "paid"


def test_an_open_invoice_is_paid_by_hand(double: Double) -> None:
    subscription = double.subscribed()
    fail_renewal(double, subscription)
    invoice = double.invoices(subscription)[-1]
    with pytest.raises(stripe.CardError) as caught:
        double.api.invoices.pay(invoice.id)
    assert caught.value.code == "card_declined"
    method = double.api.payment_methods.attach("pm_card_visa", {"customer": str(subscription.customer)})
    paid = double.api.invoices.pay(invoice.id, {"payment_method": method.id})

    assert paid.status == "paid"
    assert double.subscription(subscription.id).status == "active"
    with pytest.raises(stripe.InvalidRequestError, match="already paid"):
        double.api.invoices.pay(invoice.id)


def test_an_open_invoice_is_voided_or_given_up(double: Double) -> None:
    subscription = double.subscribed()
    fail_renewal(double, subscription)
    invoice = double.invoices(subscription)[-1]

    assert double.api.invoices.mark_uncollectible(invoice.id).status == "uncollectible"
    assert double.api.invoices.void_invoice(invoice.id).status == "void"
    with pytest.raises(stripe.InvalidRequestError):
        double.api.invoices.void_invoice(invoice.id)


def test_ended_plans_are_listed_only_when_asked_for(double: Double) -> None:
    subscription = double.subscribed()
    double.api.subscriptions.cancel(subscription.id)
    subscriptions = double.api.subscriptions

    assert subscriptions.list().data == []
    assert [row.id for row in subscriptions.list({"status": "all"}).data] == [subscription.id]
    assert [row.id for row in subscriptions.list({"status": "canceled"}).data] == [subscription.id]
    assert subscriptions.list({"status": "active"}).data == []


def test_the_clock_moves_forwards_only(double: Double) -> None:
    assert double.refused("/clock", to=at("2026-01-01"))["param"] == "to"
