"""Whoever has a signed link ends one kind of e-mail by it."""

from collections.abc import Sequence

from shared.notifications.links import Subscription, read_unsubscribe_token
from shared.notifications.store import Outbox


async def unsubscribe(outbox: Outbox, token: str, secret_keys: Sequence[str]) -> Subscription | None:
    """End what the link ends, and tell what that is; None where it is none of ours.

    Again, or for an account that is gone, it changes nothing.

    raises  StoreUnavailable
    """
    subscription = read_unsubscribe_token(token, secret_keys)
    if subscription is not None:
        await outbox.unsubscribe(subscription)
    return subscription
