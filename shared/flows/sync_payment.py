"""Make the ledger agree with what Stripe says of a payment now: all that is done about it, whoever hinted."""

from collections.abc import Sequence
from typing import Any

import msgspec

from shared.billing.types import PaymentPosted, RefundDue
from shared.clients.stripe.facts import Payment
from shared.core.errors import StoreUnavailable
from shared.core.ids import AccountId
from shared.core.log import log_event
from shared.flows.reward_referrers import reward_referrer_of
from shared.flows.sync_means import SyncMeans
from shared.flows.sync_subscription import sync_subscription
from shared.keys.fingerprint import fingerprints

# What came for a deleted account is given back after the first reading, and read once more.
MOST_READINGS = 2


async def sync_payment(
    means: SyncMeans, payment_id: str, *, synced: frozenset[str] = frozenset()
) -> frozenset[AccountId]:
    """Read a payment at Stripe with its refunds and disputes, and post what it says; return who has new e-mails.

    Any order and any number of calls, at once too, come to the same: a number is claimed before Stripe is read, and
    what was read before something that is posted already is not posted.

    shape   synced: the subscriptions that were read after what hints at the payment; they are not read once more
    raises  PaymentsUnavailable, StripeRefused, StoreUnavailable; a retry is safe
    """
    written_to: frozenset[AccountId] = frozenset()
    for _ in range(MOST_READINGS):
        claim = await means.payments.claim_sync(payment_id)
        payment = await means.stripe.payments.read(payment_id)
        if payment is None or payment.kind == "unknown":
            _log_stranger(payment_id, payment)
            break
        if payment.subscription_id is not None and payment.subscription_id not in synced:
            # What it pays for comes first, so that what is taken back of it finds what it gave.
            written_to |= await sync_subscription(means, payment.subscription_id)
            synced |= {payment.subscription_id}
        answer = await means.payments.post_payment(claim, _facts(payment, means.secret_keys))
        if isinstance(answer, PaymentPosted):
            await means.limiter.forget_policies(answer.fingerprints)
            await _reward(means, payment_id)
            written_to |= {answer.account_id} if answer.mails else frozenset()
        if not isinstance(answer, RefundDue):
            break
        await means.stripe.payments.refund(payment_id)
        log_event("payment_given_back", level="warning", payment_id=payment_id)
    return written_to


def _facts(payment: Payment, secret_keys: Sequence[str]) -> dict[str, Any]:
    """Say it as the SQL function takes it: of the card no more than tells it from others, under each secret of ours."""
    facts: dict[str, Any] = msgspec.to_builtins(payment)
    card = facts.pop("card_fingerprint")
    return {**facts, "card_fingerprint_hmacs": fingerprints(f"card:{card}", secret_keys) if card else []}


async def _reward(means: SyncMeans, payment_id: str) -> None:
    """Give who has brought the buyer what the purchase earns him.

    policy  open: what fails is left to the sweep
    """
    try:
        await reward_referrer_of(means.codes, payment_id)
    except StoreUnavailable:
        log_event("rewards_left_to_the_sweep", level="warning", payment_id=payment_id)


def _log_stranger(payment_id: str, payment: Payment | None) -> None:
    """Tell of a payment that is nothing of ours; the account at Stripe may sell other things too."""
    reason = "missing" if payment is None else "not sold here"
    log_event("payment_unknown", level="warning", payment_id=payment_id, reason=reason)
