"""How an API key is written: `gw_<environment>_<37 random><6 checksum>`, so that a mistyped one needs no look-up."""

import hashlib
import re
import secrets
import string
from dataclasses import dataclass, field

from shared.core.errors import GatewayError
from shared.core.ids import KeyEnvironment

PREFIXES: dict[KeyEnvironment, str] = {
    "live": "gw_live_",
    "test": "gw_test_",
    "staging": "gw_staging_",
    "development": "gw_dev_",
}
# 37 base62 characters are 220 random bits.
RANDOM_LENGTH = 37
CHECKSUM_LENGTH = 6

_ALPHABET = string.digits + string.ascii_uppercase + string.ascii_lowercase
_SECRET = re.compile(r"(gw_(?:live|test|staging|dev)_)([0-9A-Za-z]{37})([0-9A-Za-z]{6})")
_ENVIRONMENTS: dict[str, KeyEnvironment] = {prefix: environment for environment, prefix in PREFIXES.items()}


class InvalidApiKey(GatewayError):
    """No key of ours looks like this, or none is known by it."""

    status = 401
    code = "invalid_api_key"
    advice = "The key is mistyped, revoked, expired or unknown."
    type = "authentication_error"

    def __init__(self) -> None:
        super().__init__(
            "The API key is not valid. Check that it was copied whole, and that it was not rotated or deleted."
        )


class MissingApiKey(GatewayError):
    """The request carries no key."""

    status = 401
    code = "missing_api_key"
    advice = "Send a key."
    type = "authentication_error"

    def __init__(self) -> None:
        super().__init__(
            "No API key was sent. Send yours in the header `Authorization: Bearer gw_…` (or `x-api-key: gw_…`)."
        )


@dataclass(frozen=True, slots=True)
class PresentedKey:
    """A key that someone sent and whose checksum holds; whether it exists is another question."""

    secret: str = field(repr=False)
    environment: KeyEnvironment


def generate_secret(environment: KeyEnvironment) -> str:
    """Make a new key; the caller shows it once and keeps its fingerprint."""
    body = PREFIXES[environment] + "".join(secrets.choice(_ALPHABET) for _ in range(RANDOM_LENGTH))
    return body + _checksum(body)


def parse_secret(text: str) -> PresentedKey:
    """Read a key as it was sent.

    raises  InvalidApiKey when its form or its checksum is wrong
    """
    match = _SECRET.fullmatch(text)
    if match is None or _checksum(match[1] + match[2]) != match[3]:
        raise InvalidApiKey
    return PresentedKey(secret=text, environment=_ENVIRONMENTS[match[1]])


def mask(secret: str) -> str:
    """Return what may be shown of a key: `gw_live_ab12…wxyz`.

    raises  ValueError for anything that is not written as a key: it is not ours to show
    """
    match = _SECRET.fullmatch(secret)
    if match is None:
        raise ValueError("not an API key")
    return f"{match[1]}{match[2][:4]}…{match[3][-4:]}"


def _checksum(body: str) -> str:
    """Return six base62 digits of the SHA-256 of prefix and random part."""
    number = int.from_bytes(hashlib.sha256(body.encode()).digest())
    digits = []
    for _ in range(CHECKSUM_LENGTH):
        number, digit = divmod(number, len(_ALPHABET))
        digits.append(_ALPHABET[digit])
    return "".join(digits)
