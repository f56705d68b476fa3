"""The daily comparison with Stripe: whatever no webhook has brought is found and mended."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from itertools import batched

import msgspec

from shared.billing.reconciliation import Reconciliation
from shared.clients.stripe.facts import ListedPayment, ListedSubscription
from shared.core.clock import ClockMs
from shared.core.errors import GatewayError
from shared.core.log import log_event
from shared.flows.sync_means import SyncMeans
from shared.flows.sync_payment import sync_payment
from shared.flows.sync_subscription import sync_subscription

DAY_S = 86_400
# A week of days that failed, and the day itself.
PAYMENTS_OF_S = 8 * DAY_S
# A refund may fail as late as 30 days after it was made; a dispute of any age of payment is heard of in as long.
# source: https://docs.stripe.com/refunds#failed-refunds
RETURNS_OF_S = 35 * DAY_S
# A payment that is younger may be on its way into the books, or out of Stripe's list.
SETTLED_AFTER_S = 600
BATCH = 500
AT_ONCE = 4
# No more is begun after so long; the rest differs tomorrow too.
RUN_S = 240.0
MOST_FAILURES = 20


class ReconcileMeans(msgspec.Struct, frozen=True):
    """What is compared, and what mends it."""

    sync: SyncMeans
    books: Reconciliation
    clock_ms: ClockMs


class Reconciled(msgspec.Struct, frozen=True, kw_only=True):
    """What was compared at Stripe, what of it differed and was read anew, what the books alone know, what failed."""

    payments: int
    payments_mended: int
    subscriptions: int
    subscriptions_mended: int
    missing: int
    failed: int


async def reconcile_payments(means: ReconcileMeans) -> Reconciled:
    """Compare the last days' payments, and all subscriptions, with the books; read anew and post what differs.

    raises  PaymentsUnavailable, StripeRefused, StoreUnavailable where nothing could be compared; a retry is safe, and
            so are two at once
    """
    now_s = means.clock_ms() // 1000
    ends_s = time.monotonic() + RUN_S
    listed = await means.sync.stripe.payments.list_since(now_s - PAYMENTS_OF_S)
    subscriptions = await means.sync.stripe.subscriptions.list_all_live()
    payments_due = await _due_payments(means, listed, now_s)
    mended = await _mend(payments_due, lambda name: sync_payment(means.sync, name), ends_s)
    subscriptions_due = await _due_subscriptions(means.books, subscriptions)
    renewed = await _mend(subscriptions_due, lambda name: sync_subscription(means.sync, name), ends_s)
    missing = await _lay_missing_aside(means, {each.id for each in listed}, ends_s)
    return Reconciled(
        payments=len(listed),
        payments_mended=mended.count,
        subscriptions=len(subscriptions),
        subscriptions_mended=renewed.count,
        missing=missing,
        failed=mended.failed + renewed.failed,
    )


async def _due_payments(means: ReconcileMeans, listed: Sequence[ListedPayment], now_s: int) -> list[str]:
    """Return the payments to be read anew: new ones that differ; those undecided; older ones that went back of late."""
    stripe, since, compared = means.sync.stripe.payments, now_s - RETURNS_OF_S, {each.id for each in listed}
    differing: list[str] = []
    for batch in batched(listed, BATCH):
        differing += await means.books.differing_payments(batch)
    undecided = await means.books.undecided_payments()
    returned = (await stripe.list_disputed_since(since) | await stripe.list_refunded_since(since)) - compared
    # What is looked at every day comes last: where time is short, what differs was mended.
    return list(dict.fromkeys([*differing, *undecided, *sorted(returned)]))


async def _due_subscriptions(books: Reconciliation, listed: Sequence[ListedSubscription]) -> list[str]:
    """Return the subscriptions to be read anew: what differs, and what goes on in the books alone."""
    due: list[str] = []
    for batch in batched(listed, BATCH):
        due += await books.differing_subscriptions(batch)
    ended = set(await books.live_subscriptions()) - {each.id for each in listed}
    return due + sorted(ended)


async def _lay_missing_aside(means: ReconcileMeans, listed: Collection[str], ends_s: float) -> int:
    """Keep for a person what the books have and Stripe has not; return how many were found while there was time."""
    missing = 0
    for name in await means.books.payments_since(means.clock_ms() // 1000 - PAYMENTS_OF_S + SETTLED_AFTER_S):
        if time.monotonic() > ends_s:
            log_event("reconciliation_cut", level="error", at=name)
            break
        if name not in listed and await means.sync.stripe.payments.read(name) is None:
            log_event("payment_missing_at_stripe", level="error", payment_id=name)
            await means.books.lay_aside(name, "missing at Stripe")
            missing += 1
    return missing


class _Mended(msgspec.Struct):
    count: int = 0
    failed: int = 0


async def _mend(names: Iterable[str], sync: Callable[[str], Awaitable[object]], ends_s: float) -> _Mended:
    """Synchronise each, a few at once; one that fails is logged and keeps the others from nothing."""
    mended = _Mended()

    async def mend(name: str) -> None:
        try:
            await sync(name)
            mended.count += 1
        except GatewayError as error:
            log_event("reconciliation_failed", level="error", object_id=name, reason=error.code)
            mended.failed += 1

    for batch in batched(names, AT_ONCE):
        if time.monotonic() > ends_s or mended.failed >= MOST_FAILURES:
            break
        await asyncio.gather(*(mend(name) for name in batch))
    return mended
