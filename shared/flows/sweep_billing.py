"""The sweep behind the webhooks: events not handled, graces that are over, what deleted accounts still pay."""

import time
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from shared.billing.types import UnhandledEvent
from shared.clients.stripe.wire import PaymentsUnavailable
from shared.core.errors import GatewayError, StoreUnavailable
from shared.core.log import log_event
from shared.flows.handle_stripe_event import follow_hints
from shared.flows.reward_referrers import reward_referrers
from shared.flows.sync_means import SyncMeans
from shared.flows.sync_payment import sync_payment
from shared.flows.sync_subscription import sync_subscription

# Stripe's first attempts come within a minute; a handler that is still at work ends within another.
OLDER_THAN_S = 120
BATCH = 100
# No more is begun after so long; what is left waits for the next sweep.
RUN_S = 120.0
# So many in a row without an answer, and it is Stripe or the store that is away. A refusal is about one of them alone.
MOST_FAILURES = 5
AWAY = (PaymentsUnavailable, StoreUnavailable)


class BillingSwept(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep did; failed: what it could not do, and the next one tries again."""

    events: int
    graces: int
    cancellations: int
    refunds: int
    rewards: int
    failed: int


class _Done(msgspec.Struct):
    count: int = 0
    failed: int = 0


async def sweep_billing(means: SyncMeans) -> BillingSwept:
    """Do what was left undone. Two at once do everything once.

    raises  StoreUnavailable; a retry is safe
    """
    ends_s = time.monotonic() + RUN_S
    graces = await means.subscriptions.end_graces(BATCH)
    await means.limiter.forget_policies(graces.fingerprints)
    rewards = await _reward(means)
    events = await _each(
        await means.payments.unhandled_events(limit=BATCH, older_than_s=OLDER_THAN_S),
        lambda event: _handle(means, event),
        ends_s,
    )
    cancellations = await _each(
        await means.subscriptions.due_cancellations(BATCH), lambda name: sync_subscription(means, name), ends_s
    )
    refunds = await _each(await means.payments.due_refunds(limit=BATCH), lambda name: sync_payment(means, name), ends_s)
    await means.payments.erase_events()
    return BillingSwept(
        events=events.count,
        graces=graces.count,
        cancellations=cancellations.count,
        refunds=refunds.count,
        rewards=rewards.count,
        failed=rewards.failed + events.failed + cancellations.failed + refunds.failed,
    )


async def _reward(means: SyncMeans) -> _Done:
    """Reward who has brought somebody; one who cannot be rewarded now keeps nothing else from the sweep."""
    try:
        return _Done(count=await reward_referrers(means.codes))
    except StoreUnavailable as error:
        log_event("billing_sweep_failed", level="error", reason=error.code)
        return _Done(failed=1)


async def _handle(means: SyncMeans, event: UnhandledEvent) -> None:
    """Count the try, then make it, unless somebody else has handled the event meanwhile."""
    if await means.payments.try_event(event.id):
        await follow_hints(means, event.id, event.hints)


async def _each[Item](items: Sequence[Item], work: Callable[[Item], Awaitable[object]], ends_s: float) -> _Done:
    """Do a piece of work for each, until the time is over; one that fails keeps the others from nothing."""
    done, in_a_row = _Done(), 0
    for item in items:
        if time.monotonic() > ends_s or in_a_row == MOST_FAILURES:
            break
        try:
            await work(item)
        except GatewayError as error:
            log_event("billing_sweep_failed", level="error", reason=error.code)
            done.failed += 1
            in_a_row = in_a_row + 1 if isinstance(error, AWAY) else 0
        else:
            done.count += 1
            in_a_row = 0
    return done
