"""What happens long after a payment, and what only a part of the events has told, is found by the daily comparison."""

import secrets

from tests.payments.jobs import run_job
from tests.payments.shop import Buyer, Shop
from tests.payments.test_reconciliation import go_back, return_unheard

READ_FACTS = """
    select granted_at is not null, card_fingerprint_hmac is not null, receipt_url is not null
      from gateway.payments where account_id = %s
"""
KNOW = "update gateway.accounts set email_normalised = %s where id = %s"
KEEP_CODE = "insert into gateway.referral_codes (account_id, code) values (%s, %s)"
REFER = "insert into gateway.referrals (referred_id, referrer_id, code, applied_at) values (%s, %s, %s, now())"


async def test_a_dispute_of_an_old_payment_is_found(shop: Shop) -> None:
    go_back(shop)
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 2_500)
    return_unheard(shop)
    shop.double.control("/disputes", payment_intent=payment_id)
    reconciled = await run_job(shop.gateway, "reconcile")

    assert (reconciled["payments"], reconciled["failed"]) == (0, 0)
    assert (buyer.cents, buyer.standing.dispute_status) == (0, "open")
    buyer.check()


async def test_a_bank_debit_that_succeeds_weeks_later_is_found(shop: Shop) -> None:
    go_back(shop)
    buyer = await shop.buyer()
    session_id = await shop.checkout(buyer, 2_500)
    shop.double.pay(session_id, delayed=True)
    return_unheard(shop)
    shop.double.control(f"/sessions/{session_id}/succeed")
    reconciled = await run_job(shop.gateway, "reconcile")

    assert (reconciled["payments"], buyer.cents) == (0, 2_500)
    buyer.check()


async def test_a_month_that_credit_with_stripe_has_paid_is_found(shop: Shop) -> None:
    buyer = await shop.buyer()
    subscription_id = await shop.subscribe(buyer, "team")
    shop.double.settle_down()
    ends_at = await _change_to_the_cheaper(shop, subscription_id)
    shop.double.control("/clock", to=ends_at + 60)
    shop.double.settle_down()
    before = buyer.standing.posted_nanos
    shop.double.control("/deliveries/hold")
    shop.double.control("/clock", to=ends_at + 7_200)
    newest = shop.double.read("/invoices", subscription=subscription_id)["data"][0]
    assert (newest["status"], newest["amount_paid"]) == ("paid", 0)
    reconciled = await run_job(shop.gateway, "reconcile")

    assert buyer.standing.posted_nanos > before
    again = await run_job(shop.gateway, "reconcile")
    assert reconciled["subscriptions_mended"] - again["subscriptions_mended"] == 1
    buyer.check()


async def test_a_plan_of_which_only_the_subscription_was_told_rewards_and_is_read_once_more(shop: Shop) -> None:
    referrer, buyer = await shop.buyer(), await shop.buyer()
    _bring(shop, referrer, buyer)
    shop.double.control("/deliveries/hold")
    await shop.subscribe(buyer)
    shop.double.control("/deliveries", types=["customer.subscription.created"])
    shop.double.settle_down()
    assert shop.rows(READ_FACTS, buyer.account_id) == [(True, False, False)]
    assert (await run_job(shop.gateway, "billing_sweep"))["rewards"] == 1
    assert referrer.cents == 500

    reconciled = await run_job(shop.gateway, "reconcile")
    assert shop.rows(READ_FACTS, buyer.account_id) == [(True, True, True)]
    again = await run_job(shop.gateway, "reconcile")
    assert reconciled["payments_mended"] - again["payments_mended"] == 1
    for person in (referrer, buyer):
        person.check()


def _bring(shop: Shop, referrer: Buyer, referred: Buyer) -> None:
    code = secrets.token_hex(5)
    for person in (referrer, referred):
        shop.run(KNOW, f"person{person.account_id}@example.com", person.account_id)
    shop.run(KEEP_CODE, referrer.account_id, code)
    shop.run(REFER, referred.account_id, referrer.account_id, code)


async def _change_to_the_cheaper(shop: Shop, subscription_id: str) -> int:
    """Change the plan now, so that the rest of the dearer one is credit with Stripe; return when the period ends."""
    subscription = await shop.stripe.subscriptions.read(subscription_id)
    assert subscription is not None
    await shop.stripe.subscriptions.upgrade(subscription, await shop.price("dev"), key="cheaper")
    shop.double.settle_down()
    return subscription.period_ends_at
