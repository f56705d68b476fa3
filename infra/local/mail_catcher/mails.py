"""What was taken, and how one request is known when it comes again."""

import hashlib
import itertools
import uuid
from collections import OrderedDict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

# A stack that runs for days forgets the oldest.
MAX_MAILS = 2_000
MAX_KEYS = 10_000


@dataclass(frozen=True, slots=True)
class CaughtMail:
    """One e-mail as it would have been sent."""

    id: str
    number: int
    idempotency_key: str | None
    body: dict[str, Any]
    taken_at: datetime = field(default_factory=lambda: datetime.now(UTC))

    def to_json(self) -> dict[str, Any]:
        """Return all of it."""
        return {
            "id": self.id,
            "number": self.number,
            "idempotency_key": self.idempotency_key,
            "taken_at": self.taken_at.isoformat(),
            **self.body,
        }


class KeyReused(Exception):
    """The idempotency key has come with another mail before."""


class Mails:
    """The mails in the order in which they came."""

    def __init__(self) -> None:
        self._mails: OrderedDict[str, CaughtMail] = OrderedDict()
        self._keys: OrderedDict[str, tuple[str, str]] = OrderedDict()
        self._numbers = itertools.count(1)

    def take(self, body: dict[str, Any], raw: bytes, key: str | None) -> str:
        """Take a mail and return its id; the same one again under its key is taken once.

        raises  KeyReused
        """
        content = hashlib.sha256(raw).hexdigest()
        if key is not None and key in self._keys:
            mail_id, known_content = self._keys[key]
            if known_content != content:
                raise KeyReused
            return mail_id
        mail = CaughtMail(str(uuid.uuid4()), next(self._numbers), key, body)
        self._mails[mail.id] = mail
        if key is not None:
            self._keys[key] = (mail.id, content)
        while len(self._mails) > MAX_MAILS:
            self._mails.popitem(last=False)
        while len(self._keys) > MAX_KEYS:
            self._keys.popitem(last=False)
        return mail.id

    def find(self, mail_id: str) -> CaughtMail | None:
        """Return a mail that is still known."""
        return self._mails.get(mail_id)

    def all(self) -> list[CaughtMail]:
        """Return them, the oldest first."""
        return list(self._mails.values())

    def forget(self) -> None:
        """Forget all of them, and every key."""
        self._mails.clear()
        self._keys.clear()
