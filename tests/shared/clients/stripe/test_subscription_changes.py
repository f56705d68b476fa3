"""A subscription is changed now or at the end of its period, and whatever was to come before is dropped."""

from shared.clients.stripe.client import Stripe
from shared.clients.stripe.facts import Subscription
from tests.harness.stripe import StripeDouble
from tests.shared.clients.stripe.buying import plan_price, read, subscribe


async def cheaper(stripe: Stripe, cents: int = 2_900) -> str:
    return await stripe.sales.ensure_price(plan_price(cents))


async def test_a_downgrade_comes_with_the_period_s_end(
    stripe: Stripe, stripe_double: StripeDouble, subscription: Subscription
) -> None:
    price_id = await cheaper(stripe)
    await stripe.subscriptions.schedule(subscription, price_id, "month", key="a")
    planned = await read(stripe, subscription.id)

    assert planned.price_id == subscription.price_id
    assert planned.scheduled is not None
    assert (planned.scheduled.price_id, planned.scheduled.at) == (price_id, subscription.period_ends_at)
    stripe_double.control("/clock", to=subscription.period_ends_at + 3_700)
    changed = await read(stripe, subscription.id)
    assert (changed.price_id, changed.scheduled) == (price_id, None)


async def test_a_second_downgrade_takes_the_place_of_the_first(stripe: Stripe, subscription: Subscription) -> None:
    await stripe.subscriptions.schedule(subscription, await cheaper(stripe), "month", key="a")
    other = await cheaper(stripe, 1_900)
    await stripe.subscriptions.schedule(await read(stripe, subscription.id), other, "month", key="b")
    planned = await read(stripe, subscription.id)

    assert planned.scheduled is not None
    assert planned.scheduled.price_id == other


async def test_a_downgrade_that_broke_off_in_the_middle_is_finished_by_the_next_attempt(
    stripe: Stripe, stripe_double: StripeDouble, subscription: Subscription
) -> None:
    price_id = await cheaper(stripe)
    stripe_double.control("/faults", kind="error", status=400, path="/v1/subscription_schedules/", method="POST")
    try:
        await stripe.subscriptions.schedule(subscription, price_id, "month", key="a")
    except Exception as error:  # noqa: BLE001 - whichever it is, the schedule stands and changes nothing yet
        assert type(error).__name__ in {"StripeRefused", "PaymentsUnavailable"}
    half = await read(stripe, subscription.id)
    assert (half.schedule_id is not None, half.scheduled) == (True, None)
    await stripe.subscriptions.schedule(half, price_id, "month", key="a")
    planned = await read(stripe, subscription.id)

    assert planned.scheduled is not None


async def test_the_end_that_was_ordered_is_dropped_by_a_downgrade_and_the_other_way_round(
    stripe: Stripe, subscription: Subscription
) -> None:
    await stripe.subscriptions.cancel_at_period_end(subscription)
    ending = await read(stripe, subscription.id)
    assert ending.cancels_at == subscription.period_ends_at
    await stripe.subscriptions.schedule(ending, await cheaper(stripe), "month", key="a")
    planned = await read(stripe, subscription.id)
    assert (planned.cancels_at, planned.scheduled is not None) == (None, True)
    await stripe.subscriptions.cancel_at_period_end(planned)
    ending = await read(stripe, subscription.id)

    assert (ending.cancels_at, ending.scheduled, ending.schedule_id) == (subscription.period_ends_at, None, None)
    await stripe.subscriptions.keep(ending)
    kept = await read(stripe, subscription.id)
    assert (kept.cancels_at, kept.scheduled) == (None, None)


async def test_an_upgrade_is_charged_at_once_and_drops_what_was_to_come(
    stripe: Stripe, stripe_double: StripeDouble
) -> None:
    subscription = await subscribe(stripe, stripe_double, 2_900)
    await stripe.subscriptions.cancel_at_period_end(subscription)
    dearer = await cheaper(stripe, 9_900)
    upgrade = await stripe.subscriptions.upgrade(await read(stripe, subscription.id), dearer, key="a")
    changed = await read(stripe, subscription.id)

    assert (upgrade.is_pending, upgrade.invoice_url) == (False, None)
    assert (changed.price_id, changed.cancels_at, len(changed.invoices)) == (dearer, None, 2)
    newest = max(changed.invoices, key=lambda invoice: len(invoice.lines))
    assert {line.amount_cents > 0 for line in newest.lines} == {True, False}


async def test_an_upgrade_that_cannot_be_charged_waits_for_its_invoice(
    stripe: Stripe, stripe_double: StripeDouble
) -> None:
    subscription = await subscribe(stripe, stripe_double, 2_900)
    stripe_double.control(f"/customers/{subscription.customer_id}/card", card="chargeCustomerFail")
    upgrade = await stripe.subscriptions.upgrade(subscription, await cheaper(stripe, 9_900), key="a")

    assert upgrade.is_pending
    assert (upgrade.invoice_url or "").startswith(f"{stripe_double.url}/i/in_")
    assert (await read(stripe, subscription.id)).price_id == subscription.price_id


async def test_what_has_ended_may_be_ended_again(stripe: Stripe, subscription: Subscription) -> None:
    await stripe.subscriptions.cancel_now(subscription.id)
    await stripe.subscriptions.cancel_now(subscription.id)
    ended = await read(stripe, subscription.id)

    assert (ended.status, ended.cancels_at) == ("canceled", None)
    assert ended.ended_at is not None
    assert subscription.id not in await stripe.subscriptions.list_live(subscription.customer_id)


async def test_a_list_of_many_pages_is_read_to_its_end(stripe: Stripe, stripe_double: StripeDouble) -> None:
    subscriptions = {(await subscribe(stripe, stripe_double, 2_900)).id for _ in range(101)}

    assert {listed.id for listed in await stripe.subscriptions.list_all_live()} == subscriptions
    payments = await stripe.payments.list_since(0)
    assert len(payments) == 101
    assert {(payment.status, payment.received_cents) for payment in payments} == {("succeeded", 2_900)}
