"""Idempotency keys: the first answer is kept for a day and given again."""

from collections import OrderedDict
from dataclasses import dataclass

from infra.local.stripe_double.refusals import IdempotencyInUse, IdempotencyMismatch, MalformedRequest

# https://docs.stripe.com/api/idempotent_requests
KEPT_S = 86_400
MAX_KEY_CHARS = 255
MAX_KEPT = 50_000


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer as it went out the first time."""

    status: int
    body: bytes
    request_id: str


@dataclass(slots=True)
class _Entry:
    path: str
    parameters: str
    since: int
    kept: Kept | None = None


class IdempotencyKeys:
    """The keys of one account."""

    def __init__(self) -> None:
        self._entries: OrderedDict[str, _Entry] = OrderedDict()

    def open(self, key: str, path: str, parameters: str, now: int) -> Kept | None:
        """Return the kept answer, or take the key and return None.

        raises  IdempotencyMismatch, IdempotencyInUse, MalformedRequest
        """
        if len(key) > MAX_KEY_CHARS:
            raise MalformedRequest(f"Idempotency keys must be at most {MAX_KEY_CHARS} characters long.")
        entry = self._entries.get(key)
        if entry is None or entry.since + KEPT_S < now:
            self._entries[key] = _Entry(path, parameters, now)
            while len(self._entries) > MAX_KEPT:
                self._entries.popitem(last=False)
            return None
        if entry.path != path:
            raise IdempotencyMismatch(
                key, f"for the same endpoint they were first used for ('{path}' vs '{entry.path}')"
            )
        if entry.parameters != parameters:
            raise IdempotencyMismatch(key, "with the same parameters they were first used with")
        if entry.kept is None:
            raise IdempotencyInUse(key)
        return entry.kept

    def close(self, key: str, kept: Kept | None) -> None:
        """Keep the answer, or without one let the key be used again: its request did not begin."""
        entry = self._entries.get(key)
        if entry is None:
            return
        if kept is None:
            del self._entries[key]
        else:
            entry.kept = kept
