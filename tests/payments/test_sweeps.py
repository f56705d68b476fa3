"""The sweep does all that it can do: what always fails keeps nothing else from it."""

import psycopg

from tests.payments.jobs import run_job
from tests.payments.shop import Shop, some_id

AGE = "update gateway.stripe_events set received_at = received_at - interval '1 hour' where handled_at is null"
FORGET = "update gateway.stripe_events set handled_at = now() where handled_at is null"
ADD_EVENT = """
    insert into gateway.stripe_events (id, type, hints, created_at_stripe, received_at)
    values (%s, 'charge.updated', '{charge:ch_1}', now(), now() - %s::interval)
"""
LETTERS = "select kind, reason from gateway.dead_letters where subject = %s and resolved_at is null"
ERASE_ACCOUNT = "select gateway.erase_account(%s, now())"
EARN = """
    insert into gateway.referrals (referred_id, referrer_id, code, payment_id, is_earned, is_settled, applied_at)
    values (%s, %s, '0123456789', 'pi_of_another', true, false, now())
"""
LOCK_WALLET = "select 1 from gateway.wallets where account_id = %s for update"
ALWAYS = 100_000


async def test_events_that_always_fail_hold_up_no_others(shop: Shop) -> None:
    shop.run(FORGET)
    shop.double.control("/deliveries/hold")
    bad = [await shop.buy(await shop.buyer(), 2_500) for _ in range(2)]
    shop.double.control("/clock", ahead_s=1)
    buyer = await shop.buyer()
    await shop.buy(buyer, 2_500)
    _refuse(shop, "")
    shop.double.control("/deliveries/release")
    shop.double.settle_down()
    shop.double.mend()
    for payment_id in bad:
        _refuse(shop, payment_id)
    shop.run(AGE)
    swept = await run_job(shop.gateway, "billing_sweep")
    shop.run(FORGET)

    # More than may fail in a row where Stripe is away; each purchase has as many events.
    assert swept["failed"] == 2 * swept["events"] > 5
    assert buyer.cents == 2_500


async def test_a_hint_that_nobody_can_read_is_for_a_person_in_the_end(shop: Shop) -> None:
    new, old = some_id("evt"), some_id("evt")
    shop.run(ADD_EVENT, new, "1 hour")
    shop.run(ADD_EVENT, old, "9 days")
    swept = await run_job(shop.gateway, "billing_sweep")

    assert swept["failed"] >= 2
    assert shop.handled([{"id": new}, {"id": old}]) == {new: False, old: True}
    assert shop.rows(LETTERS, old) == [("stripe_event", "hint_unreadable")]
    assert shop.rows(LETTERS, new) == []
    shop.run(FORGET)


async def test_refunds_that_always_fail_hold_up_no_others(shop: Shop) -> None:
    shop.double.control("/deliveries/hold")
    due = sorted([await _pay_for_a_deleted_account(shop) for _ in range(7)])
    shop.double.control("/faults", kind="error", path="/v1/refunds", method="POST", times=100)
    shop.double.control("/deliveries", types=["payment_intent.succeeded"])
    shop.double.settle_down()
    shop.double.mend()
    # As if Stripe had no answer for these: with five of them in a row the sweep ends.
    for payment_id in due[:5]:
        shop.double.control("/faults", kind="error", path=f"/v1/payment_intents/{payment_id}", times=ALWAYS)
    for _ in range(2):
        await run_job(shop.gateway, "billing_sweep")

    assert all(shop.double.read("/refunds", payment_intent=payment_id)["data"] for payment_id in due[5:])
    shop.double.mend()
    await run_job(shop.gateway, "billing_sweep")


async def test_a_referrer_who_is_busy_keeps_nothing_else_from_the_sweep(shop: Shop) -> None:
    shop.double.control("/deliveries/hold")
    payment_id = await _pay_for_a_deleted_account(shop)
    shop.double.control("/faults", kind="error", path="/v1/refunds", method="POST", times=3)
    shop.double.control("/deliveries", types=["payment_intent.succeeded"])
    shop.double.settle_down()
    referrer, referred = await shop.buyer(), await shop.buyer()
    shop.run(EARN, referred.account_id, referrer.account_id)
    with psycopg.connect(shop.stack.database_url) as holder:
        holder.execute(LOCK_WALLET, (referrer.account_id,))
        swept = await run_job(shop.gateway, "billing_sweep")
        holder.rollback()

    assert (swept["rewards"], swept["refunds"], swept["failed"]) == (0, 1, 1)
    assert shop.double.read("/refunds", payment_intent=payment_id)["data"]
    assert (await run_job(shop.gateway, "billing_sweep"))["rewards"] == 1


def _refuse(shop: Shop, payment_id: str) -> None:
    """Have Stripe refuse to tell of a payment, whoever asks."""
    path = f"/v1/payment_intents/{payment_id}"
    shop.double.control("/faults", kind="error", status=400, path=path, times=ALWAYS)


async def _pay_for_a_deleted_account(shop: Shop) -> str:
    buyer = await shop.buyer()
    session_id = await shop.checkout(buyer, 2_500)
    shop.run(ERASE_ACCOUNT, buyer.account_id)
    return str(shop.double.pay(session_id)["payment_intent"])
