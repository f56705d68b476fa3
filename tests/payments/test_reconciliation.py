"""The daily comparison mends what no webhook has brought, and tells of what it cannot mend."""

import asyncio
import time
import uuid

from shared.clients.stripe.sales import CreditsOrder
from tests.functions.scheduled.test_jobs import call
from tests.payments.jobs import AS_SCHEDULER, run_job
from tests.payments.shop import Shop, some_id

LONG_AGO_S = 20 * 86_400
LETTERS = "select reason from gateway.dead_letters where kind = 'payment' and subject = %s and resolved_at is null"
ADD_PAYMENT = """
    insert into gateway.payments (id, account_id, kind, checkout_id, status, received_cents, money_nanos, granted_at)
    values (%s, %s, 'credits', null, 'processing', 500, 0, null)
"""


async def test_everything_that_happened_while_nobody_was_told_is_found(shop: Shop) -> None:
    shop.double.control("/deliveries/hold")
    buyers = [await shop.buyer() for _ in range(4)]
    bought, refunded, disputed = [await shop.buy(buyer, 10_000) for buyer in buyers[:3]]
    shop.double.control("/refunds", payment_intent=refunded, amount=5_000)
    shop.double.control("/disputes", payment_intent=disputed)
    await shop.subscribe(buyers[3])
    reconciled = await run_job(shop.gateway, "reconcile")

    assert [buyer.cents for buyer in buyers] == [10_500, 5_250, 0, 2_500]
    assert buyers[3].standing.plan_id == "dev"
    assert (reconciled["payments"], reconciled["failed"]) == (4, 0)
    assert len(buyers[0].lots(bought)) == 2
    for buyer in buyers:
        buyer.check()
    again = await run_job(shop.gateway, "reconcile")
    # A dispute that is open is looked at every day.
    assert again["payments_mended"] == reconciled["payments_mended"] - 3
    # So is what goes on in the books alone, which other tests have left there; this one was mended with its payment.
    assert (again["subscriptions_mended"], again["failed"]) == (reconciled["subscriptions_mended"], 0)


async def test_what_was_lost_after_the_payment_was_known_is_found(shop: Shop) -> None:
    buyers = [await shop.buyer() for _ in range(3)]
    refunded, disputed = [await shop.bought(buyer, 10_000) for buyer in buyers[:2]]
    subscription_id = await shop.subscribe(buyers[2])
    shop.double.settle_down()
    shop.double.control("/deliveries/hold")
    shop.double.control("/refunds", payment_intent=refunded, amount=10_000)
    dispute = shop.double.control("/disputes", payment_intent=disputed)
    await shop.stripe.subscriptions.cancel_now(subscription_id)
    await run_job(shop.gateway, "reconcile")
    assert [buyer.cents for buyer in buyers] == [0, 0, 2_500]
    assert buyers[2].standing.plan_id == buyers[2].standing.base_plan_id

    shop.double.control(f"/disputes/{dispute['id']}/win")
    await run_job(shop.gateway, "reconcile")
    assert (buyers[1].cents, buyers[1].standing.dispute_status) == (10_500, None)
    for buyer in buyers:
        buyer.check()


def go_back(shop: Shop) -> None:
    """Go to a day that is further back than payments are listed for; nothing is bought there yet."""
    shop.double.reset(now=int(time.time()) - LONG_AGO_S)
    shop.double.tell(shop.gateway)


def return_unheard(shop: Shop) -> None:
    """Come back to today; nothing is told of what happens from here on."""
    shop.double.settle_down()
    shop.double.control("/clock", to=int(time.time()))
    shop.double.control("/deliveries/hold")


async def test_a_refund_that_fails_weeks_later_is_found(shop: Shop) -> None:
    go_back(shop)
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 2_500)
    refund = shop.double.control("/refunds", payment_intent=payment_id, fate="pending")
    return_unheard(shop)
    assert buyer.cents == 0
    shop.double.control(f"/refunds/{refund['id']}/fail")
    reconciled = await run_job(shop.gateway, "reconcile")

    assert reconciled["payments"] == 0
    assert buyer.cents == 2_500
    buyer.check()


async def test_a_dispute_that_is_won_weeks_later_is_found(shop: Shop) -> None:
    go_back(shop)
    buyer = await shop.buyer()
    dispute = shop.double.control("/disputes", payment_intent=await shop.bought(buyer, 2_500))
    return_unheard(shop)
    assert (buyer.cents, buyer.standing.dispute_status) == (0, "open")
    shop.double.control(f"/disputes/{dispute['id']}/win")
    reconciled = await run_job(shop.gateway, "reconcile")

    assert reconciled["payments"] == 0
    assert (buyer.cents, buyer.standing.dispute_status) == (2_500, None)
    buyer.check()


async def test_a_payment_that_stripe_does_not_know_is_kept_for_a_person(shop: Shop) -> None:
    buyer = await shop.buyer()
    invented = some_id("pi")
    shop.run(ADD_PAYMENT, invented, buyer.account_id)
    try:
        assert (await run_job(shop.gateway, "reconcile"))["missing"] >= 1
        assert shop.rows(LETTERS, invented) == [("missing at Stripe",)]
    finally:
        shop.run("delete from gateway.payments where id = %s", invented)


async def test_what_else_the_account_at_stripe_sells_is_none_of_ours(shop: Shop) -> None:
    customer_id = await shop.stripe.sales.create_customer("someone else", None)
    foreign = await _sell_otherwise(shop, customer_id)
    reconciled = await run_job(shop.gateway, "reconcile")
    shop.double.settle_down()

    assert reconciled["failed"] == 0
    assert shop.rows("select 1 from gateway.payments where id = %s", foreign) == []


async def test_two_comparisons_at_once_grant_once(shop: Shop) -> None:
    shop.double.control("/deliveries/hold")
    buyer = await shop.buyer()
    await shop.buy(buyer, 10_000)
    await asyncio.gather(*(run_job(shop.gateway, "reconcile") for _ in range(3)))

    assert buyer.cents == 10_500
    buyer.check()


async def test_while_stripe_is_away_the_comparison_fails_and_says_so(shop: Shop) -> None:
    shop.double.control("/faults", kind="error", path="/v1/payment_intents", times=10)
    answer = await call(shop.gateway, "/internal/jobs/reconcile", AS_SCHEDULER)
    assert (answer.status, answer.error["code"]) == (503, "payments_unavailable")


async def _sell_otherwise(shop: Shop, customer_id: str) -> str:
    """Sell something of which no checkout here knows; return the payment's id."""
    order = CreditsOrder(
        checkout_id=str(uuid.uuid4()),
        turn=str(uuid.uuid4()),
        customer_id=customer_id,
        amount_cents=1_200,
        name="A book",
        success_url="https://books.test/done",
        cancel_url="https://books.test/back",
    )
    session = await shop.stripe.sales.open_credits_session(order)
    return str(shop.double.pay(session.id)["payment_intent"])
