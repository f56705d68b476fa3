"""What is stored of an API key: an HMAC under each of our secrets, so that those can be rotated."""

import hashlib
import hmac
from collections.abc import Iterable

from shared.core.ids import PrivyId

# A fingerprint is the name of the secret it was made under and then so much of the HMAC: the database counts by the
# name which secret its keys still stand under, and knows none of them.
SECRET_ID_BYTES = 4
_HMAC_BYTES = 28
_SECRET_ID_TEXT = b"gateway secret id"


def fingerprint(secret: str, secret_key: str) -> str:
    """Return the 64 lower-case hexadecimal digits that a key is looked up by.

    raises  ValueError when secret_key is empty: the result would be a plain hash
    """
    return secret_id(secret_key) + _hmac(secret_key, secret.encode())[:_HMAC_BYTES].hex()


def fingerprints(secret: str, secret_keys: Iterable[str]) -> tuple[str, ...]:
    """Return one fingerprint per secret of ours, in their order: newest first."""
    return tuple(fingerprint(secret, secret_key) for secret_key in secret_keys)


def session_fingerprints(privy_id: PrivyId, secret_keys: Iterable[str]) -> tuple[str, ...]:
    """Return what someone who is signed in is known by; no API key has these, because each begins with gw_."""
    return fingerprints(f"session:{privy_id}", secret_keys)


def secret_id(secret_key: str) -> str:
    """Return the 8 hexadecimal digits that name a secret of ours and tell nothing of it.

    raises  ValueError when secret_key is empty
    """
    return _hmac(secret_key, _SECRET_ID_TEXT)[:SECRET_ID_BYTES].hex()


def _hmac(secret_key: str, message: bytes) -> bytes:
    if not secret_key:
        raise ValueError("secret_key is empty")
    return hmac.new(secret_key.encode(), message, hashlib.sha256).digest()
