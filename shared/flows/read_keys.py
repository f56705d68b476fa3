"""See the keys of the caller's account: one, all, what they have used, and who did what to them."""

from collections.abc import Awaitable, Callable

from shared.core.caller import Caller
from shared.core.ids import KeyId
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, Told, ask_within_limits
from shared.keys.store import KeyStore
from shared.keys.types import EventsTold, KeysTold, KeyTold, UsageTold


class KeyReader:
    """One request that looks at keys: who calls, and the headers that its answer will have.

    raises  RateLimited, KeyNotFound and the refusals of the caller's own key, StoreUnavailable, from each function
    """

    def __init__(self, desk: Desk, caller: Caller, answer_headers: dict[str, str]) -> None:
        self._desk = desk
        self._store = KeyStore(desk.database)
        self._caller = caller
        self._answer_headers = answer_headers

    async def read(self, key_id: KeyId | None) -> KeyTold:
        """Return one key; None is the one that calls."""
        return await self._ask(lambda: self._store.read(self._caller, key_id))

    async def list(self, *, limit: int, after: int | None) -> KeysTold:
        """Return a page of the live keys, oldest first."""
        return await self._ask(lambda: self._store.list(self._caller, limit=limit, after=after))

    async def usage(self, *, days: int, limit: int, after: int | None) -> UsageTold:
        """Return what a page of keys was charged for in the last days."""
        return await self._ask(lambda: self._store.read_usage(self._caller, days=days, limit=limit, after=after))

    async def events(self, key_id: KeyId | None, *, limit: int, before: int | None) -> EventsTold:
        """Return a page of what was done to the keys or to one of them, newest first."""
        return await self._ask(lambda: self._store.list_events(self._caller, key_id, limit=limit, before=before))

    async def _ask[Answer: Told](self, ask: Callable[[], Awaitable[Answer | Refused]]) -> Answer:
        return await ask_within_limits(self._desk, self._caller, ask, self._answer_headers)
