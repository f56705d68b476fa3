"""Buying at the double through our client."""

import secrets
import uuid

from shared.clients.stripe.client import Stripe
from shared.clients.stripe.facts import Interval, Subscription
from shared.clients.stripe.sales import CreditsOrder, PlanOrder, PlanPrice
from tests.harness.stripe import StripeDouble

SECRETS = ("whsec_of_no_matter",)


async def customer(stripe: Stripe) -> str:
    return await stripe.sales.create_customer(f"user_{secrets.token_hex(4)}", "ada@example.com")


def credits_order(customer_id: str, cents: int = 2_500) -> CreditsOrder:
    return CreditsOrder(
        checkout_id=str(uuid.uuid4()),
        turn=str(uuid.uuid4()),
        customer_id=customer_id,
        amount_cents=cents,
        name="25 USD of credits",
        success_url="https://app.test/done",
        cancel_url="https://app.test/back",
    )


def plan_order(customer_id: str, price_id: str) -> PlanOrder:
    return PlanOrder(
        checkout_id=str(uuid.uuid4()),
        turn=str(uuid.uuid4()),
        customer_id=customer_id,
        price_id=price_id,
        success_url="https://app.test/done",
        cancel_url="https://app.test/back",
    )


def plan_price(cents: int, interval: Interval = "month") -> PlanPrice:
    return PlanPrice(
        plan_id=f"plan_{cents}", name="A plan", interval=interval, amount_cents=cents, monthly_allowance_nanos=10**9
    )


async def subscribe(stripe: Stripe, double: StripeDouble, cents: int) -> Subscription:
    """Subscribe somebody new and return what our client reads."""
    price_id = await stripe.sales.ensure_price(plan_price(cents))
    session = await stripe.sales.open_plan_session(plan_order(await customer(stripe), price_id))
    return await read(stripe, double.pay(session.id)["subscription"])


async def read(stripe: Stripe, subscription_id: str) -> Subscription:
    found = await stripe.subscriptions.read(subscription_id)
    assert found is not None
    return found
