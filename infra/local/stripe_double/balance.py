"""Balance transactions: what every charge, refund and dispute does to the account's money."""

import stripe

from infra.local.stripe_double.refusals import Json
from infra.local.stripe_double.shapes import build
from infra.local.stripe_double.world import World

# Of a domestic card: https://stripe.com/pricing
FEE_PER_10_000 = 290
FEE_FIXED = 30
CATEGORIES = {"charge": "charge", "refund": "refund", "refund_failure": "refund_failure", "adjustment": "dispute"}
AVAILABLE_AFTER_S = 2 * 86_400


def charge_fee(amount: int) -> int:
    """Return what Stripe keeps of a card payment, in the currency's smallest unit."""
    return (amount * FEE_PER_10_000 + 5_000) // 10_000 + FEE_FIXED


def post_entry(world: World, kind: str, source: Json, *, amount: int, fee: int = 0) -> Json:
    """Record money that came or went; amount: signed, before the fee."""
    now = world.now()
    fees = [{"amount": fee, "application": None, "currency": source["currency"], "description": "Stripe fees",
             "type": "stripe_fee"}]  # fmt: skip
    entry = build(
        stripe.BalanceTransaction,
        id=world.new_id("txn"),
        amount=amount,
        available_on=now + AVAILABLE_AFTER_S,
        balance_type="payments",
        created=now,
        currency=source["currency"],
        fee=fee,
        fee_details=fees if fee else [],
        net=amount - fee,
        reporting_category=CATEGORIES[kind],
        source=source["id"],
        status="pending",
        type=kind,
    )
    return world.add(entry)
