"""A plan follows its subscription at Stripe: what is paid gives its allowance, once, and what ends takes the plan."""

from datetime import timedelta

from tests.payments.jobs import run_job
from tests.payments.shop import NANOS_PER_CENT, Buyer, Shop

DAY_S = 86_400
MONTH_S = 31 * DAY_S
DRAFT_S = 3_600
ALLOWANCE = 2_500 * NANOS_PER_CENT
READ_PAYMENT = """
    select kind, received_cents, money_nanos, credit_nanos from gateway.payments where subscription_id = %s
     order by paid_at, id
"""
GIVEN = "select count(*), sum(amount_nanos) from gateway.lots where account_id = %s and kind = 'plan'"
GRACE_OVER = "update gateway.subscriptions set past_due_since = past_due_since - interval '8 days' where id = %s"


async def subscribed(shop: Shop, plan_id: str = "dev", interval: str = "month") -> tuple[Buyer, str]:
    buyer = await shop.buyer()
    subscription_id = await shop.subscribe(buyer, plan_id, "year" if interval == "year" else "month")
    shop.double.settle_down()
    return buyer, subscription_id


async def test_a_plan_that_is_paid_gives_its_month_and_no_money(shop: Shop) -> None:
    buyer, subscription_id = await subscribed(shop)

    assert buyer.standing.plan_id == "dev"
    assert buyer.standing.posted_nanos == ALLOWANCE
    assert shop.rows(READ_PAYMENT, subscription_id) == [("plan", 2_900, 2_900 * NANOS_PER_CENT, ALLOWANCE)]
    buyer.check()


async def test_every_event_of_a_subscription_ten_times_at_once_gives_one_month(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.subscribe(buyer)
    shop.double.control("/deliveries/release", times=10, shuffle=True, seed=3, is_retried=True)
    shop.double.settle_down()

    assert shop.rows(GIVEN, buyer.account_id) == [(1, ALLOWANCE)]
    assert {each["status"] for each in shop.double.look("/deliveries")["data"]} == {200}
    buyer.check()


async def test_a_year_gives_twelve_months_one_after_the_other(shop: Shop) -> None:
    buyer, _ = await subscribed(shop, interval="year")

    assert shop.rows(GIVEN, buyer.account_id) == [(12, 12 * ALLOWANCE)]
    assert buyer.standing.plan_id == "dev"
    buyer.check()


async def test_the_next_month_is_given_when_it_is_paid(shop: Shop) -> None:
    buyer, subscription_id = await subscribed(shop)
    shop.double.control("/clock", ahead_s=MONTH_S + DRAFT_S)
    shop.double.settle_down()

    assert shop.rows(GIVEN, buyer.account_id) == [(2, 2 * ALLOWANCE)]
    assert len(shop.rows(READ_PAYMENT, subscription_id)) == 2
    buyer.check()


async def test_an_upgrade_gives_the_difference_and_the_dearer_plan(shop: Shop) -> None:
    buyer, subscription_id = await subscribed(shop)
    subscription = await shop.stripe.subscriptions.read(subscription_id)
    assert subscription is not None
    await shop.stripe.subscriptions.upgrade(subscription, await shop.price("team"), key="up")
    shop.double.settle_down()

    assert buyer.standing.plan_id == "team"
    ((_, given),) = shop.rows(GIVEN, buyer.account_id)
    # Seconds of the month had gone by.
    assert 8_999 * NANOS_PER_CENT < given <= 9_000 * NANOS_PER_CENT
    buyer.check()


async def test_half_of_a_plan_refunded_takes_half_of_its_allowance(shop: Shop) -> None:
    buyer, _ = await subscribed(shop)
    payment_id = shop.events("payment_intent.succeeded")[0]["data"]["object"]["id"]
    shop.double.control("/refunds", payment_intent=payment_id, amount=1_450)
    shop.double.settle_down()

    assert buyer.standing.posted_nanos == ALLOWANCE // 2
    buyer.check()


async def test_a_plan_refunded_before_anybody_knew_of_it_leaves_nothing(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.subscribe(buyer)
    payment_id = shop.events("payment_intent.succeeded")[0]["data"]["object"]["id"]
    shop.double.control("/refunds", payment_intent=payment_id)
    for types in (["refund.created"], ["customer.subscription.created"], ["invoice.paid"]):
        shop.double.control("/deliveries", types=types)
        shop.double.settle_down()

    assert buyer.standing.posted_nanos == 0
    buyer.check()


async def test_a_disputed_plan_gives_back_what_it_gave_and_suspends(shop: Shop) -> None:
    buyer, _ = await subscribed(shop)
    payment_id = shop.events("payment_intent.succeeded")[0]["data"]["object"]["id"]
    shop.double.control("/disputes", payment_intent=payment_id)
    shop.double.settle_down()

    assert (buyer.standing.posted_nanos, buyer.standing.dispute_status) == (0, "open")
    buyer.check()


async def test_a_renewal_that_fails_keeps_the_plan_for_its_grace_and_then_takes_it(shop: Shop) -> None:
    buyer, subscription_id = await subscribed(shop)
    base = buyer.standing.base_plan_id
    shop.double.control(f"/customers/{buyer.customer_id}/card", card="chargeCustomerFail")
    shop.double.control("/clock", ahead_s=MONTH_S + DRAFT_S)
    shop.double.settle_down()
    assert buyer.standing.plan_id == "dev"
    assert shop.rows("select status from gateway.subscriptions where id = %s", subscription_id) == [("past_due",)]
    await run_job(shop.gateway, "billing_sweep")
    assert buyer.standing.plan_id == "dev"

    shop.run(GRACE_OVER, subscription_id)
    swept = await run_job(shop.gateway, "billing_sweep")
    assert (swept["graces"], buyer.standing.plan_id) == (1, base)
    assert shop.rows(GIVEN, buyer.account_id) == [(1, ALLOWANCE)]
    buyer.check()


async def test_an_end_at_stripe_takes_the_plan_and_leaves_what_was_given(shop: Shop) -> None:
    buyer, subscription_id = await subscribed(shop)
    await shop.stripe.subscriptions.cancel_now(subscription_id)
    shop.double.settle_down()

    assert buyer.standing.plan_id == buyer.standing.base_plan_id
    assert buyer.standing.posted_nanos == ALLOWANCE
    buyer.check()


async def test_what_is_given_lives_for_its_month(shop: Shop) -> None:
    buyer, subscription_id = await subscribed(shop)
    (payment,) = shop.rows("select id from gateway.payments where subscription_id = %s", subscription_id)
    ((kind, amount, _, lasts),) = buyer.lots(payment[0])

    assert (kind, amount) == ("plan", ALLOWANCE)
    assert timedelta(days=28) <= lasts <= timedelta(days=31)
