"""What goes back: refunds and disputes take exactly as much as they are, whatever was spent meanwhile."""

import pytest

from tests.payments.shop import NANOS_PER_CENT, Shop


async def test_half_is_refunded_and_the_rest_disputed_and_nothing_is_left(shop: Shop) -> None:
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 10_000)
    shop.double.control("/refunds", payment_intent=payment_id, amount=5_000)
    shop.double.settle_down()
    assert buyer.cents == 5_000 + 250
    assert buyer.standing.dispute_status is None
    shop.double.control("/disputes", payment_intent=payment_id, amount=5_000)
    shop.double.settle_down()

    assert buyer.cents == 0
    assert buyer.standing.dispute_status == "open"
    buyer.check()


async def test_refunds_in_odd_parts_leave_nothing_behind(shop: Shop) -> None:
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 10_000)
    for cents in (1, 3_333, 3_333, 3_333):
        shop.double.control("/refunds", payment_intent=payment_id, amount=cents)
    shop.double.settle_down()

    assert buyer.cents == 0
    buyer.check()


async def test_a_refund_that_fails_gives_back_what_it_took(shop: Shop) -> None:
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 10_000)
    refund = shop.double.control("/refunds", payment_intent=payment_id, amount=4_000, fate="pending")
    shop.double.settle_down()
    assert buyer.cents == 6_000 + 300
    shop.double.control(f"/refunds/{refund['id']}/fail")
    shop.double.settle_down()

    assert buyer.cents == 10_500
    buyer.check()


@pytest.mark.parametrize(("verdict", "cents", "status"), [("win", 10_500, None), ("lose", 0, "lost")])
async def test_a_dispute_takes_all_and_gives_it_back_where_it_is_won(
    shop: Shop, verdict: str, cents: int, status: str | None
) -> None:
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 10_000)
    dispute = shop.double.control("/disputes", payment_intent=payment_id)
    shop.double.settle_down()
    assert (buyer.cents, buyer.standing.dispute_status) == (0, "open")
    shop.double.control(f"/disputes/{dispute['id']}/{verdict}")
    shop.double.settle_down()

    assert (buyer.cents, buyer.standing.dispute_status) == (cents, status)
    buyer.check()


async def test_an_inquiry_takes_nothing_until_it_becomes_a_dispute(shop: Shop) -> None:
    buyer = await shop.buyer()
    payment_id = await shop.bought(buyer, 2_500)
    dispute = shop.double.control("/disputes", payment_intent=payment_id, is_inquiry=True)
    shop.double.settle_down()
    assert (buyer.cents, buyer.standing.dispute_status) == (2_500, None)
    shop.double.control(f"/disputes/{dispute['id']}/escalate")
    shop.double.settle_down()

    assert (buyer.cents, buyer.standing.dispute_status) == (0, "open")
    buyer.check()


async def test_what_another_purchase_has_left_pays_for_what_this_one_has_not(shop: Shop) -> None:
    buyer = await shop.buyer()
    first, second = await shop.bought(buyer, 2_500), await shop.bought(buyer, 2_500)
    for payment_id in (first, second):
        shop.double.control("/disputes", payment_intent=payment_id)
        shop.double.settle_down()
    assert buyer.cents == 0
    third = await shop.bought(buyer, 1_000)

    # Nothing is owed, since nothing was spent: the third is whole.
    assert buyer.cents == 1_000
    assert [lot[2] for lot in buyer.lots(third)] == [1_000 * NANOS_PER_CENT]
    buyer.check()
