"""What an event costs at Stripe, and what a payment that is still under way is told with."""

import time
from dataclasses import replace

from infra.local.environment import STRIPE_API_KEY, STRIPE_WEBHOOK_SECRET
from shared.clients.http_session import open_session
from shared.clients.stripe.client import open_stripe
from shared.core.integrations import StripeSettings
from tests.payments.shop import Shop, deliver

READ_AMOUNTS = "select status, received_cents, tax_cents from gateway.payments where account_id = %s"


async def test_an_invoice_that_was_paid_reads_its_subscription_once(shop: Shop) -> None:
    shop.double.control("/deliveries/hold")
    subscription_id = await shop.subscribe(await shop.buyer())
    (paid,) = shop.events("invoice.paid")
    before = len(shop.double.look("/calls")["data"])
    assert (await deliver(shop.gateway, paid, at=int(time.time())))[0] == 200
    calls = [call["path"] for call in shop.double.look("/calls")["data"][before:]]

    assert calls.count(f"/v1/subscriptions/{subscription_id}") == 1
    assert len(calls) == 9


async def test_a_delayed_payment_with_tax_is_posted_before_and_after_it_has_succeeded(shop: Shop) -> None:
    shop.double.control("/settings", tax_basis_points=1_900)
    settings = StripeSettings(STRIPE_API_KEY, (STRIPE_WEBHOOK_SECRET,), shop.stack.stripe_url, is_taxed=True)
    async with open_session() as session:
        stripe = open_stripe(session, settings)
        assert stripe is not None
        taxed = replace(shop, stripe=stripe)
        buyer = await taxed.buyer()
        session_id = await taxed.checkout(buyer, 2_500)
    shop.double.pay(session_id, delayed=True)
    shop.double.settle_down()
    assert shop.rows(READ_AMOUNTS, buyer.account_id) == [("processing", 0, 0)]
    assert {delivery["status"] for delivery in shop.double.look("/deliveries")["data"]} == {200}

    shop.double.control(f"/sessions/{session_id}/succeed")
    shop.double.settle_down()
    assert shop.rows(READ_AMOUNTS, buyer.account_id) == [("succeeded", 2_975, 475)]
    assert buyer.cents == 2_500
    buyer.check()
