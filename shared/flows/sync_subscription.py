"""Make the books agree with what Stripe says of a subscription now: all that is done about it, whoever hinted."""

from shared.billing.subscriptions import SubscriptionEnded, SubscriptionPosted
from shared.core.ids import AccountId
from shared.core.log import log_event
from shared.flows.sync_means import SyncMeans

# A deleted account's is canceled after the first reading, and read once more.
MOST_READINGS = 2


async def sync_subscription(means: SyncMeans, subscription_id: str) -> frozenset[AccountId]:
    """Read a subscription at Stripe and post what it says; return who has new e-mails.

    Any order and any number of calls, at once too, come to the same: a number is claimed before Stripe is read, and
    what was read before something that is posted already is not posted.

    raises  PaymentsUnavailable, StripeRefused, StoreUnavailable; a retry is safe
    """
    for _ in range(MOST_READINGS):
        claim = await means.payments.claim_sync(subscription_id)
        subscription = await means.stripe.subscriptions.read(subscription_id)
        if subscription is None:
            log_event("subscription_missing", level="error", subscription_id=subscription_id)
            break
        answer = await means.subscriptions.post(claim, subscription.to_json())
        if isinstance(answer, SubscriptionPosted):
            await means.limiter.forget_policies(answer.fingerprints)
            return frozenset({answer.account_id} if answer.mails else ())
        if not isinstance(answer, SubscriptionEnded):
            break
        await _end(means, subscription_id, answer)
        if not answer.is_live:
            break
    return frozenset()


async def _end(means: SyncMeans, subscription_id: str, ended: SubscriptionEnded) -> None:
    """End at Stripe what a deleted account had subscribed to, and give back what it gave nothing for."""
    if ended.is_live:
        await means.stripe.subscriptions.cancel_now(subscription_id)
        log_event("subscription_canceled", level="warning", subscription_id=subscription_id)
    for payment_id in ended.payment_ids:
        await means.stripe.payments.refund(payment_id)
