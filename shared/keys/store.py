"""The keys' functions, one call each."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.ids import KeyId
from shared.core.verdicts import Refused
from shared.keys.types import (
    DueRotation,
    EventsTold,
    KeyRevoked,
    KeysTold,
    KeyTold,
    NotDue,
    Rotated,
    SecretUse,
    UsageTold,
)

# A key's settings by the names of the database; what is absent stays as it is, null lifts a restriction.
Settings = Mapping[str, Any]


class NewSecret(msgspec.Struct, frozen=True):
    """What is stored of a new secret: what it is found by, and what of it may be shown."""

    key_hmac: str
    masked: str

    def to_json(self) -> dict[str, Any]:
        """Say it as the SQL functions take it."""
        return msgspec.structs.asdict(self)


class SealedSecret(NewSecret, frozen=True):
    """A secret that waits to be collected, and the name of the secret of ours that it is sealed under."""

    sealed: str
    secret_id: str


class KeyStore:
    """The account's keys, reached through one database. Each call of a person enters by his key, and answers a refusal
    where that may not.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is safe
    source  infra/supabase/migrations/…_keys.sql, …_key_changes.sql, …_key_reports.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(
        self, caller: Caller, settings: Settings, secret: NewSecret, receipt: Mapping[str, Any]
    ) -> KeyTold | Refused:
        """Make a key; the same receipt makes it once."""
        arguments = {"p_key": settings, "p_secret": secret.to_json(), "p_receipt": receipt}
        return await self._tell("create_key", caller, arguments)

    async def read(self, caller: Caller, key_id: KeyId | None) -> KeyTold | Refused:
        """Read one key; None is the one that calls."""
        return await self._tell("read_key", caller, {"p_key_id": key_id})

    async def update(self, caller: Caller, key_id: KeyId, changes: Settings) -> KeyTold | Refused:
        """Change the settings that are named."""
        return await self._tell("update_key", caller, {"p_key_id": key_id, "p_changes": changes})

    async def rotate(
        self, caller: Caller, key_id: KeyId, secret: NewSecret, overlap_hours: int, receipt: Mapping[str, Any]
    ) -> KeyTold | Refused:
        """Give a key a new secret; the same receipt gives it one."""
        arguments = {"p_secret": secret.to_json(), "p_overlap_hours": overlap_hours, "p_receipt": receipt}
        return await self._tell("rotate_key", caller, {"p_key_id": key_id, **arguments})

    async def collect(
        self, caller: Caller, key_id: KeyId, secret_ids: Sequence[str], receipt: Mapping[str, Any]
    ) -> KeyTold | Refused:
        """Take the sealed secret that a rotation by schedule made; with the same receipt again for ten minutes.

        shape   secret_ids: of the secrets of ours that can open it; under any other it stays
        """
        arguments = {"p_secret_ids": list(secret_ids), "p_receipt": receipt}
        return await self._tell("collect_key", caller, {"p_key_id": key_id, **arguments})

    async def revoke(self, caller: Caller, key_id: KeyId) -> KeyRevoked | Refused:
        """End a key for good."""
        return await self._database.call(
            "revoke_key",
            {"p_caller": caller.to_json(), "p_key_id": key_id},
            KeyRevoked | Refused,  # type: ignore[arg-type]  # a union is a type to msgspec, not yet to mypy
        )

    async def list(self, caller: Caller, *, limit: int, after: int | None) -> KeysTold | Refused:
        """Read a page of the account's live keys."""
        return await self._database.call(
            "list_keys",
            {"p_caller": caller.to_json(), "p_limit": limit, "p_after": after},
            KeysTold | Refused,  # type: ignore[arg-type]
        )

    async def read_usage(self, caller: Caller, *, days: int, limit: int, after: int | None) -> UsageTold | Refused:
        """Read what a page of keys was charged for in the last days."""
        return await self._database.call(
            "read_key_usage",
            {"p_caller": caller.to_json(), "p_days": days, "p_limit": limit, "p_after": after},
            UsageTold | Refused,  # type: ignore[arg-type]
        )

    async def list_events(
        self, caller: Caller, key_id: KeyId | None, *, limit: int, before: int | None
    ) -> EventsTold | Refused:
        """Read a page of what was done to the account's keys, or to one of them."""
        return await self._database.call(
            "list_key_events",
            {"p_caller": caller.to_json(), "p_limit": limit, "p_before": before, "p_key_id": key_id},
            EventsTold | Refused,  # type: ignore[arg-type]
        )

    async def find_due_rotations(self) -> tuple[DueRotation, ...]:
        """Find keys whose time for a new secret has come, a hundred at most."""
        return await self._database.call("due_rotations", {}, tuple[DueRotation, ...])

    async def rotate_due(self, due: DueRotation, secret: SealedSecret, overlap_hours: int) -> Rotated | NotDue:
        """Give a key the secret that it is due, once for each time that it is."""
        return await self._database.call(
            "rotate_due_key",
            {
                "p_key_id": due.key_id,
                "p_due_at": due.rotates_at,
                "p_secret": secret.to_json(),
                "p_overlap_hours": overlap_hours,
            },
            Rotated | NotDue,  # type: ignore[arg-type]
        )

    async def count_secrets(self) -> tuple[SecretUse, ...]:
        """Count what stands under each secret of ours."""
        return await self._database.call("count_key_secrets", {}, tuple[SecretUse, ...])

    async def _tell(self, function: str, caller: Caller, arguments: Mapping[str, Any]) -> KeyTold | Refused:
        return await self._database.call(
            function,
            {"p_caller": caller.to_json(), **arguments},
            KeyTold | Refused,  # type: ignore[arg-type]
        )
