"""What is sold at Stripe is made once, and what is wrong there is told in our words."""

import asyncio
import time

import pytest

from infra.local.environment import STRIPE_API_KEY
from shared.clients.stripe.client import Stripe
from shared.clients.stripe.wire import DEADLINE_S, PaymentsUnavailable, StripeRefused
from tests.harness.stripe import StripeDouble
from tests.shared.clients.stripe.buying import credits_order, customer, plan_order, plan_price


@pytest.mark.parametrize("kind", ["error", "lost"])
async def test_a_call_that_broke_is_made_once_more_and_does_one_thing(
    stripe: Stripe, stripe_double: StripeDouble, kind: str
) -> None:
    stripe_double.control("/faults", kind=kind, method="POST", path="/v1/customers", times=1)
    await stripe.sales.create_customer("user_1", None)

    calls = [call for call in stripe_double.look("/calls")["data"] if call["path"] == "/v1/customers"]
    assert len(calls) == 2
    assert len({call["idempotency_key"] for call in calls}) == 1
    assert len(stripe_double.read("/customers")["data"]) == 1


async def test_a_failure_that_stripe_keeps_under_a_key_does_not_stand_in_the_way_of_the_next_attempt(
    stripe: Stripe, stripe_double: StripeDouble
) -> None:
    stripe_double.control("/faults", kind="late_error", method="POST", path="/v1/customers", times=1)
    with pytest.raises(PaymentsUnavailable):
        await stripe.sales.create_customer("user_1", None)

    assert (await stripe.sales.create_customer("user_1", None)).startswith("cus_")


async def test_stripe_that_stays_away_is_unavailable_and_no_key_is_logged(
    stripe: Stripe, stripe_double: StripeDouble, capsys: pytest.CaptureFixture[str]
) -> None:
    stripe_double.control("/faults", kind="error", path="/v1/customers", times=3)
    with pytest.raises(PaymentsUnavailable) as caught:
        await stripe.sales.create_customer("user_1", "ada@example.com")
    assert (caught.value.status, caught.value.is_retryable) == (503, True)
    printed = capsys.readouterr().out
    assert "stripe_call_refused" in printed
    assert STRIPE_API_KEY not in printed
    assert "ada@example.com" not in printed


async def test_stripe_that_says_nothing_is_not_waited_for_beyond_the_deadline(
    stripe: Stripe, stripe_double: StripeDouble
) -> None:
    stripe_double.control("/faults", kind="timeout", path="/v1/customers", times=3, wait_s=30)
    began_s = time.monotonic()
    with pytest.raises(PaymentsUnavailable):
        await stripe.sales.create_customer("user_1", None)
    assert time.monotonic() - began_s < DEADLINE_S + 2


async def test_what_stripe_does_not_take_is_refused_with_its_reason(stripe: Stripe) -> None:
    with pytest.raises(StripeRefused) as caught:
        await stripe.sales.open_credits_session(credits_order("cus_of_nobody"))
    assert (caught.value.status, caught.value.is_retryable, caught.value.reason) == (502, False, "resource_missing")


async def test_the_prices_of_a_plan_belong_to_one_product(stripe: Stripe, stripe_double: StripeDouble) -> None:
    monthly, yearly = plan_price(2_900), plan_price(2_900, "year")
    prices = [stripe_double.read(f"/prices/{await stripe.sales.ensure_price(price)}") for price in (monthly, yearly)]

    assert {price["product"] for price in prices} == {f"gateway_{monthly.plan_id}"}
    assert [price["recurring"]["interval"] for price in prices] == ["month", "year"]
    assert [(price["unit_amount"], price["currency"], price["tax_behavior"]) for price in prices] == [
        (2_900, "usd", "exclusive")
    ] * 2


async def test_only_pages_for_plans_are_shut(stripe: Stripe, stripe_double: StripeDouble) -> None:
    customer_id = await customer(stripe)
    price_id = await stripe.sales.ensure_price(plan_price(2_900))
    kept = await stripe.sales.open_credits_session(credits_order(customer_id))
    shut = [await stripe.sales.open_plan_session(plan_order(customer_id, price_id)) for _ in range(2)]
    await stripe.sales.expire_plan_sessions(customer_id)

    assert (await stripe.sales.read_session(kept.id)).status == "open"
    for session in shut:
        found = await stripe.sales.read_session(session.id)
        assert (found.status, found.url) == ("expired", None)
        await stripe.sales.expire_session(session.id)
    paid = await stripe.sales.open_plan_session(plan_order(customer_id, price_id))
    stripe_double.pay(paid.id)
    await stripe.sales.expire_session(paid.id)
    assert (await stripe.sales.read_session(paid.id)).status == "complete"


async def test_a_page_for_a_plan_is_found_behind_a_hundred_for_credits(stripe: Stripe) -> None:
    customer_id = await customer(stripe)
    price_id = await stripe.sales.ensure_price(plan_price(2_900))
    shut = await stripe.sales.open_plan_session(plan_order(customer_id, price_id))
    for _ in range(10):
        await asyncio.gather(*(stripe.sales.open_credits_session(credits_order(customer_id)) for _ in range(10)))
    await stripe.sales.expire_plan_sessions(customer_id)
    assert (await stripe.sales.read_session(shut.id)).status == "expired"


async def test_who_was_deleted_is_gone(stripe: Stripe, stripe_double: StripeDouble) -> None:
    customer_id = await customer(stripe)
    assert not await stripe.sales.is_customer_gone(customer_id)
    stripe_double.delete(f"/customers/{customer_id}")
    assert await stripe.sales.is_customer_gone(customer_id)
    assert await stripe.sales.is_customer_gone("cus_never")


async def test_the_portal_is_set_up_once_and_changes_no_plan(stripe: Stripe, stripe_double: StripeDouble) -> None:
    customer_id = await customer(stripe)
    addresses = {await stripe.sales.open_portal(customer_id, "https://app.test") for _ in range(3)}

    assert len(addresses) == 3
    (configuration,) = stripe_double.read("/billing_portal/configurations")["data"]
    enabled = {name for name, feature in configuration["features"].items() if feature["enabled"]}
    assert enabled == {"customer_update", "invoice_history", "payment_method_update", "subscription_cancel"}
    assert configuration["features"]["subscription_cancel"]["mode"] == "at_period_end"


async def test_tax_comes_on_top_and_is_told_apart_from_what_was_bought(
    taxing: Stripe, stripe_double: StripeDouble
) -> None:
    session = await taxing.sales.open_credits_session(credits_order(await customer(taxing)))
    payment = await taxing.payments.read(stripe_double.pay(session.id)["payment_intent"])

    assert payment is not None
    assert (payment.received_cents, payment.tax_cents, payment.bought_cents) == (2_750, 250, 2_500)


async def test_the_tax_of_a_plan_is_told_by_its_invoice(taxing: Stripe, stripe_double: StripeDouble) -> None:
    price_id = await taxing.sales.ensure_price(plan_price(2_900))
    session = await taxing.sales.open_plan_session(plan_order(await customer(taxing), price_id))
    subscription = await taxing.subscriptions.read(stripe_double.pay(session.id)["subscription"])
    assert subscription is not None
    (invoice,) = subscription.invoices
    payment = await taxing.payments.read(invoice.payment_id or "")

    assert payment is not None
    assert (payment.kind, payment.invoice_id) == ("plan", invoice.id)
    assert (payment.received_cents, payment.tax_cents) == (3_190, 290)
    assert (invoice.amount_paid_cents, invoice.tax_cents) == (3_190, 290)
