"""What is stored of an API key: HMAC-SHA256 under each of our secrets, so that those can be rotated."""

import hashlib
import hmac
from collections.abc import Iterable


def fingerprint(secret: str, secret_key: str) -> str:
    """Return the 64 lower-case hexadecimal digits that a key is looked up by.

    raises  ValueError when secret_key is empty: the result would be a plain hash
    """
    if not secret_key:
        raise ValueError("secret_key is empty")
    return hmac.new(secret_key.encode(), secret.encode(), hashlib.sha256).hexdigest()


def fingerprints(secret: str, secret_keys: Iterable[str]) -> tuple[str, ...]:
    """Return one fingerprint per secret of ours, in their order: newest first."""
    return tuple(fingerprint(secret, secret_key) for secret_key in secret_keys)
