"""Stripe slow, away or lying; our store away; our process killed: what was paid is granted once in the end."""

import asyncio
import time

import pytest

from infra.local.stack import LocalStack
from tests.harness.gateways import Gateways
from tests.harness.wire import Exchange, Fault
from tests.payments.conftest import OpenWire
from tests.payments.jobs import run_job
from tests.payments.shop import Shop, deliver

LATER = "update gateway.stripe_events set received_at = received_at - interval '1 hour' where id = %s"
READ_FAILURE = "select last_error from gateway.stripe_events where id = %s"
SYNCS = "select claimed, posted from gateway.syncs where object_id = %s"
# Long enough for what is asked meanwhile, shorter than one attempt of a call may take.
SLOW_S = 2.0


async def test_what_was_read_before_a_refund_is_not_posted_after_it(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    payment_id = await shop.buy(buyer, 2_500)
    (paid,) = shop.events("payment_intent.succeeded")
    # Of this reading the refunds, none yet, come at once, and the disputes late.
    shop.double.control("/faults", kind="slow", path="/v1/disputes", wait_s=SLOW_S)
    stale = asyncio.create_task(deliver(shop.gateway, paid, at=int(time.time())))
    await asyncio.sleep(SLOW_S / 2)
    shop.double.control("/refunds", payment_intent=payment_id, amount=1_000)
    (refunded,) = shop.events("refund.created")
    assert (await deliver(shop.gateway, refunded, at=int(time.time())))[0] == 200
    assert buyer.cents == 1_500
    assert not stale.done()

    assert (await stale)[0] == 200
    assert buyer.cents == 1_500
    assert shop.rows(SYNCS, payment_id) == [(2, 2)]
    buyer.check()


@pytest.mark.parametrize("kind", ["error", "late_error", "lost"])
async def test_while_stripe_fails_the_event_is_refused_and_its_next_attempt_grants(shop: Shop, kind: str) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.buy(buyer, 2_500)
    (event,) = shop.events("payment_intent.succeeded")
    # Each call is tried three times, and by the session once more where a connection that was kept has broken.
    shop.double.control("/faults", kind=kind, path="/v1/payment_intents", times=20)
    status, answer = await deliver(shop.gateway, event, at=int(time.time()))
    assert (status, answer["error"]["code"], answer["error"]["retryable"]) == (503, "payments_unavailable", True)
    assert (buyer.cents, shop.handled([event])) == (0, {event["id"]: False})

    shop.double.mend()
    assert (await deliver(shop.gateway, event, at=int(time.time())))[0] == 200
    assert (buyer.cents, shop.handled([event])) == (2_500, {event["id"]: True})


async def test_a_hiccup_of_stripe_is_no_failure(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/faults", kind="error", path="/v1/payment_intents", method="GET", times=1)
    shop.double.control("/faults", kind="lost", path="/v1/refunds", times=1)
    await shop.bought(buyer, 2_500)

    assert buyer.cents == 2_500
    assert {delivery["attempt"] for delivery in shop.double.look("/deliveries")["data"]} == {1}


async def test_a_key_that_stripe_does_not_take_is_our_fault_and_not_the_event_s(
    shop: Shop, start_gateway: Gateways
) -> None:
    wrong = start_gateway(STRIPE_SECRET_KEY="rk_of_somebody_else")
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.buy(buyer, 2_500)
    (event,) = shop.events("payment_intent.succeeded")
    status, answer = await deliver(wrong, event, at=int(time.time()))

    assert (status, answer["error"]["code"]) == (502, "payments_refused")
    assert "rk_of_somebody_else" not in wrong.log_text()


async def test_an_event_that_stripe_does_not_repeat_is_handled_by_the_sweep(shop: Shop) -> None:
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.buy(buyer, 2_500)
    (event,) = shop.events("payment_intent.succeeded")
    shop.double.control("/faults", kind="error", path="/v1/payment_intents", times=3)
    assert (await deliver(shop.gateway, event, at=int(time.time())))[0] == 503
    # Why is written down, for whoever looks after it.
    assert shop.rows(READ_FAILURE, event["id"]) == [("payments_unavailable",)]
    # Stripe's own retries come first.
    await run_job(shop.gateway, "billing_sweep")
    assert shop.handled([event]) == {event["id"]: False}
    shop.run(LATER, event["id"])
    swept = await run_job(shop.gateway, "billing_sweep")

    assert (swept["events"], swept["failed"]) == (1, 0)
    assert (buyer.cents, shop.handled([event])) == (2_500, {event["id"]: True})


async def test_a_process_killed_between_posting_and_noting_it_grants_once(
    shop: Shop, start_gateway: Gateways, open_wire: OpenWire, stack: LocalStack
) -> None:
    wire = open_wire(stack.supabase_url)
    doomed = start_gateway(SUPABASE_URL=wire.url)
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    payment_id = await shop.buy(buyer, 10_000)
    (event,) = shop.events("payment_intent.succeeded")
    with wire.broken(Fault(delay_s=30, matches=_is_finish), times=1):
        delivery = asyncio.create_task(deliver(doomed, event, at=int(time.time())))
        for _ in range(200):
            if wire.exchanges("finish_event"):
                break
            await asyncio.sleep(0.05)
        assert wire.exchanges("finish_event")
        doomed.kill()
        with pytest.raises(Exception, match="disconnected"):
            await delivery
    assert shop.handled([event]) == {event["id"]: False}
    assert buyer.cents == 10_500

    assert (await deliver(shop.gateway, event, at=int(time.time())))[0] == 200
    assert shop.handled([event]) == {event["id"]: True}
    assert buyer.cents == 10_500
    assert len(buyer.lots(payment_id)) == 2
    buyer.check()


async def test_while_our_store_is_away_stripe_is_told_to_come_again(
    shop: Shop, start_gateway: Gateways, open_wire: OpenWire, stack: LocalStack
) -> None:
    wire = open_wire(stack.supabase_url)
    gateway = start_gateway(SUPABASE_URL=wire.url)
    buyer = await shop.buyer()
    shop.double.control("/deliveries/hold")
    await shop.buy(buyer, 2_500)
    (event,) = shop.events("payment_intent.succeeded")
    with wire.broken(Fault(status=503)):
        assert (await deliver(gateway, event, at=int(time.time())))[0] == 503
    # The answer is lost after the payment is posted.
    with wire.broken(Fault(drops_answer=True, matches=_is_post)):
        assert (await deliver(gateway, event, at=int(time.time())))[0] == 503
    assert (await deliver(gateway, event, at=int(time.time())))[0] == 200

    assert (buyer.cents, shop.handled([event])) == (2_500, {event["id"]: True})
    buyer.check()


def _is_finish(exchange: Exchange) -> bool:
    return exchange.path.endswith("/finish_event")


def _is_post(exchange: Exchange) -> bool:
    return exchange.path.endswith("/post_payment")
