"""Links that switch one kind of e-mail off, by nobody's sign-in but our own signature."""

import hashlib
import hmac
import re
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from shared.core.ids import AccountId
from shared.notifications.types import CATEGORIES, Category

_TOKEN = re.compile(r"([1-9]\d{0,17})\.([a-z_]{1,20})\.([0-9a-f]{64})", re.ASCII)


class Subscription(msgspec.Struct, frozen=True):
    """One kind of e-mail to one account."""

    account_id: AccountId
    category: Category


def unsubscribe_url(gateway_url: str, subscription: Subscription, secret_key: str) -> str:
    """Return the link that ends a subscription. It has no end itself: people keep mails for years."""
    named = f"{subscription.account_id}.{subscription.category}"
    return f"{gateway_url}/unsubscribe?{urlencode({'token': f'{named}.{_signature(named, secret_key)}'})}"


def read_unsubscribe_token(token: str, secret_keys: Sequence[str]) -> Subscription | None:
    """Return what a token of ours ends; None for anything else. Any of our secrets may have signed it."""
    parts = _TOKEN.fullmatch(token)
    if parts is None:
        return None
    named = f"{parts[1]}.{parts[2]}"
    is_ours = [hmac.compare_digest(parts[3], _signature(named, secret_key)) for secret_key in secret_keys]
    category = next((category for category in CATEGORIES if category == parts[2]), None)
    if not any(is_ours) or category is None:
        return None
    return Subscription(AccountId(int(parts[1])), category)


def _signature(named: str, secret_key: str) -> str:
    """Sign for this purpose alone: what else is signed under the secret begins otherwise.

    raises  ValueError when secret_key is empty: anybody could sign then
    """
    if not secret_key:
        raise ValueError("secret_key is empty")
    return hmac.new(secret_key.encode(), f"unsubscribe {named}".encode(), hashlib.sha256).hexdigest()
