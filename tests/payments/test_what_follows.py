"""What follows from a payment at once: other limits, and no spending while a bank takes money back."""

from collections.abc import Mapping

import aiohttp

from tests.functions.chat.client import TIMEOUT, ask
from tests.harness.tenants import Models, PlanLimits
from tests.payments.shop import Buyer, Shop

LIMIT = "x-ratelimit-limit-requests"


async def headers_of(shop: Shop, buyer: Buyer) -> Mapping[str, str]:
    """Look at the key and return the headers of the answer."""
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.get(f"{shop.gateway.url}/v1/key", headers=buyer.tenant.headers) as response,
    ):
        assert response.status == 200, await response.text()
        return response.headers.copy()


async def test_the_limits_of_a_plan_hold_from_its_payment_on_and_end_with_it(shop: Shop) -> None:
    buyer = await shop.buyer(limits=PlanLimits(requests_per_minute=7))
    assert (await headers_of(shop, buyer))[LIMIT] == "7"
    subscription_id = await shop.subscribe(buyer)
    shop.double.settle_down()
    assert (await headers_of(shop, buyer))[LIMIT] == "1200"
    await shop.stripe.subscriptions.cancel_now(subscription_id)
    shop.double.settle_down()

    assert (await headers_of(shop, buyer))[LIMIT] == "7"


async def test_whose_bank_takes_a_payment_back_spends_nothing_until_that_is_decided(
    shop: Shop, make_model: Models
) -> None:
    buyer, model = await shop.buyer(), make_model("tokens=1")
    await shop.bought(buyer, 2_500)
    payment_id = await shop.bought(buyer, 2_500)
    assert (await ask(shop.gateway, buyer.tenant, model)).status == 200
    dispute = shop.double.control("/disputes", payment_intent=payment_id)
    shop.double.settle_down()
    refused = await ask(shop.gateway, buyer.tenant, model)
    assert (refused.status, refused.error["code"]) == (403, "payment_disputed")
    await headers_of(shop, buyer)
    shop.double.control(f"/disputes/{dispute['id']}/win")
    shop.double.settle_down()

    assert (await ask(shop.gateway, buyer.tenant, model)).status == 200
    buyer.check()


async def test_what_was_spent_before_a_refund_is_owed_and_repaid_by_the_next_purchase(
    shop: Shop, make_model: Models
) -> None:
    buyer = await shop.buyer()
    # A token of it costs a dollar.
    model = make_model("tokens=5", input_usd_per_mtok=0, output_usd_per_mtok=1_000_000)
    payment_id = await shop.bought(buyer, 10_000)
    answer = await ask(shop.gateway, buyer.tenant, model, max_tokens=10)
    assert answer.status == 200, answer.raw
    spent = 105 * 10**9 - buyer.standing.posted_nanos
    assert spent >= 5 * 10**9
    shop.double.control("/refunds", payment_intent=payment_id)
    shop.double.settle_down()

    standing = buyer.standing
    assert standing.posted_nanos - standing.owed_nanos == -spent
    await shop.bought(buyer, 20_000)
    standing = buyer.standing
    assert standing.owed_nanos == 0
    assert standing.posted_nanos == 210 * 10**9 - spent
    buyer.check()
