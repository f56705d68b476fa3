"""Whose account is deleted is not sold anything: what comes for it goes back."""

from tests.payments.jobs import run_job
from tests.payments.shop import Buyer, Shop

DELETE = "select gateway.erase_account(%s, now())"


def refunded(shop: Shop, payment_id: str) -> int:
    """Return how many cents Stripe has given back."""
    return sum(row["amount"] for row in shop.double.read("/refunds", payment_intent=payment_id)["data"])


async def leave(shop: Shop, buyer: Buyer) -> None:
    shop.run(DELETE, buyer.account_id)


async def test_who_pays_after_he_has_left_gets_his_money_back(shop: Shop) -> None:
    buyer = await shop.buyer()
    session_id = await shop.checkout(buyer, 2_500)
    await leave(shop, buyer)
    payment_id = str(shop.double.pay(session_id)["payment_intent"])
    shop.double.settle_down()

    assert refunded(shop, payment_id) == 2_500
    assert buyer.cents == 0
    assert buyer.lots(payment_id) == []
    assert len(shop.double.read("/refunds", payment_intent=payment_id)["data"]) == 1
    buyer.check()


async def test_a_refund_that_could_not_be_made_is_made_by_the_sweep(shop: Shop) -> None:
    buyer = await shop.buyer()
    session_id = await shop.checkout(buyer, 2_500)
    await leave(shop, buyer)
    shop.double.control("/deliveries/hold")
    payment_id = str(shop.double.pay(session_id)["payment_intent"])
    shop.double.control("/faults", kind="error", path="/v1/refunds", method="POST", times=3)
    shop.double.control("/deliveries", types=["payment_intent.succeeded"])
    shop.double.settle_down()
    assert refunded(shop, payment_id) == 0
    swept = await run_job(shop.gateway, "billing_sweep")

    assert (swept["refunds"], swept["failed"]) == (1, 0)
    assert refunded(shop, payment_id) == 2_500
    assert (await run_job(shop.gateway, "billing_sweep"))["refunds"] == 0
    buyer.check()


async def test_what_he_had_subscribed_to_ends_and_is_not_charged_again(shop: Shop) -> None:
    buyer = await shop.buyer()
    subscription_id = await shop.subscribe(buyer)
    shop.double.settle_down()
    paid = buyer.standing.posted_nanos
    await leave(shop, buyer)
    swept = await run_job(shop.gateway, "billing_sweep")
    shop.double.settle_down()

    assert swept["cancellations"] == 1
    assert shop.double.read(f"/subscriptions/{subscription_id}")["status"] == "canceled"
    assert (await run_job(shop.gateway, "billing_sweep"))["cancellations"] == 0
    assert buyer.standing.posted_nanos == paid
    buyer.check()


async def test_who_subscribes_after_he_has_left_is_not_subscribed_and_gets_his_money_back(shop: Shop) -> None:
    buyer = await shop.buyer()
    await leave(shop, buyer)
    subscription_id = await shop.subscribe(buyer)
    shop.double.settle_down()

    assert shop.double.read(f"/subscriptions/{subscription_id}")["status"] == "canceled"
    (paid,) = shop.events("payment_intent.succeeded")
    assert refunded(shop, paid["data"]["object"]["id"]) == 2_900
    assert buyer.cents == 0
    buyer.check()


async def test_a_dispute_of_what_he_bought_before_is_still_kept_in_the_books(shop: Shop) -> None:
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 2_500)
    await leave(shop, buyer)
    shop.double.control("/disputes", payment_intent=payment_id)
    shop.double.settle_down()

    assert buyer.cents == 0
    buyer.check()
