"""What payments and subscriptions are synchronised with."""

import msgspec

from shared.billing.store import Payments
from shared.billing.subscriptions import Subscriptions
from shared.clients.database import Database
from shared.clients.stripe.client import Stripe
from shared.limits.store import Limiter
from shared.trials.codes import Codes


class SyncMeans(msgspec.Struct, frozen=True, kw_only=True):
    """Stripe, which is read; the books, which are posted to; the limiter, which remembers plans."""

    stripe: Stripe
    payments: Payments
    subscriptions: Subscriptions
    codes: Codes
    limiter: Limiter
    secret_keys: tuple[str, ...]


def open_sync_means(stripe: Stripe, database: Database, limiter: Limiter, secret_keys: tuple[str, ...]) -> SyncMeans:
    """Make the means of a function; secret_keys are newest first."""
    return SyncMeans(
        stripe=stripe,
        payments=Payments(database),
        subscriptions=Subscriptions(database),
        codes=Codes(database),
        limiter=limiter,
        secret_keys=secret_keys,
    )
