"""Sealing what must be read back and must not lie open: Fernet under keys derived from SECRET_KEY's list."""

import base64
import hashlib
import hmac
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from cryptography.fernet import MultiFernet


class Sealer:
    """Seals under the newest secret and opens what any of them has sealed.

    purpose: what is sealed for one purpose cannot be opened as another
    source  https://cryptography.io/en/latest/fernet/
    """

    def __init__(self, secret_keys: Sequence[str], *, purpose: str) -> None:
        self._secret_keys = tuple(secret_keys)
        self._purpose = purpose

    def seal(self, plain: bytes) -> str:
        """Return text that only this gateway can open."""
        return self._fernet.encrypt(plain).decode()

    def open(self, sealed: str) -> bytes | None:
        """Return what was sealed; None where it was changed, or sealed under a secret that has been retired."""
        from cryptography.fernet import InvalidToken  # noqa: PLC0415 - see _fernet

        try:
            return self._fernet.decrypt(sealed.encode())
        except InvalidToken:
            return None

    @cached_property
    def _fernet(self) -> "MultiFernet":
        # Imported at the first use: a cold start that answers no SDK is spared it.
        from cryptography.fernet import Fernet, MultiFernet  # noqa: PLC0415

        return MultiFernet([Fernet(_derive(secret, self._purpose)) for secret in self._secret_keys])


def _derive(secret: str, purpose: str) -> bytes:
    return base64.urlsafe_b64encode(hmac.new(secret.encode(), purpose.encode(), hashlib.sha256).digest())
