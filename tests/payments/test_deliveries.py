"""However a payment's events come, it is granted once."""

import itertools
import time

import pytest

from tests.payments.shop import Shop, deliver

TIMES = 20
# All that Stripe tells of one payment at the time when it is made.
FIVE = (
    "payment_intent.created",
    "payment_intent.succeeded",
    "charge.succeeded",
    "charge.updated",
    "checkout.session.completed",
)


async def test_five_kinds_of_event_twenty_times_each_at_once_and_shuffled_grant_once(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    payment_id = await shop.buy(buyer, 10_000)
    events = shop.events(*FIVE)
    assert sorted(event["type"] for event in events) == sorted(FIVE)
    ids = [event["id"] for event in events]
    started = shop.double.control("/deliveries", events=ids, times=TIMES, shuffle=True, seed=7, is_retried=True)
    assert started == {"started": len(FIVE) * TIMES}
    shop.double.settle_down()

    # 100 USD, and the five percent that come with them.
    assert [lot[:3] for lot in buyer.lots(payment_id)] == [
        ("purchase", 100 * 10**9, 100 * 10**9),
        ("promo", 5 * 10**9, 5 * 10**9),
    ]
    assert buyer.cents == 10_500
    assert set(shop.handled(events).values()) == {True}
    assert {delivery["status"] for delivery in shop.double.look("/deliveries")["data"]} == {200}
    buyer.check()


@pytest.mark.parametrize("order", [*itertools.permutations((0, 1, 2))], ids=str)
async def test_events_of_payment_refund_and_dispute_come_in_any_order_to_the_same(
    shop: Shop, order: tuple[int, ...]
) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    payment_id = await shop.buy(buyer, 10_000)
    shop.double.control("/refunds", payment_intent=payment_id, amount=5_000)
    shop.double.control("/disputes", payment_intent=payment_id, amount=2_500)
    types = ("payment_intent.succeeded", "refund.created", "charge.dispute.created")
    for index in order:
        shop.double.control("/deliveries", types=[types[index]])
        shop.double.settle_down()

    # A quarter of the money and of the bonus stays.
    assert buyer.cents == 2_500 + 125
    assert buyer.standing.dispute_status == "open"
    buyer.check()


async def test_events_that_come_days_late_grant_what_was_bought(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.buy(buyer, 2_500)
    shop.double.control("/clock", ahead_s=3 * 86_400)
    shop.double.control("/deliveries/release", shuffle=True)
    shop.double.settle_down()

    assert buyer.cents == 2_500
    buyer.check()


async def test_an_event_that_was_handled_asks_stripe_for_nothing_more(shop: Shop) -> None:
    buyer = await shop.buyer()
    await shop.bought(buyer, 2_500)
    calls = len(shop.double.look("/calls")["data"])
    shop.double.control("/deliveries", types=["payment_intent.succeeded"])
    shop.double.settle_down()

    (call,) = shop.double.look("/calls")["data"][calls:] or [None]
    assert call is None
    assert buyer.cents == 2_500


async def test_an_event_of_a_kind_that_nobody_knows_is_acknowledged_and_not_kept(shop: Shop) -> None:
    strange = {"id": "evt_strange", "object": "event", "type": "moon.landed", "created": 1, "data": {"object": {}}}
    assert await deliver(shop.gateway, strange, at=int(time.time())) == (200, {"received": True})
    assert shop.handled([strange]) == {}


async def test_what_is_bought_takes_the_account_from_the_free_plan(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.run("update gateway.accounts set plan_id = 'free', base_plan_id = 'free' where id = %s", buyer.account_id)
    await shop.bought(buyer, 500)

    assert (buyer.standing.plan_id, buyer.standing.base_plan_id) == ("pay_as_you_go", "pay_as_you_go")


async def test_a_payment_that_fails_grants_nothing_and_one_that_succeeds_later_does(shop: Shop) -> None:
    buyer = await shop.buyer()
    session_id = await shop.checkout(buyer, 2_500)
    shop.double.pay(session_id, delayed=True)
    shop.double.settle_down()
    assert buyer.cents == 0
    shop.double.control(f"/sessions/{session_id}/succeed")
    shop.double.settle_down()

    assert buyer.cents == 2_500
    buyer.check()
