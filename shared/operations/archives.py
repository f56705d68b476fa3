"""What of closed months is copied, and what is not yet; one call to the database each."""

from typing import Literal

import msgspec

from shared.clients.database import Argument, Database


class ArchivePart(msgspec.Struct, frozen=True, kw_only=True, tag_field="verdict", tag="part"):
    """Some rows of a closed month, a line of JSON each, numbered within it; month: such as 2026-10."""

    kind: Literal["ledger", "usage"]
    month: str
    part: int
    rows: int
    lines: str


class AllArchived(msgspec.Struct, frozen=True, tag_field="verdict", tag="archived"):
    """Every closed month is copied."""


class PartNoted(msgspec.Struct, frozen=True, tag_field="verdict", tag="noted"):
    """The part counts as copied."""


class PartDiffers(msgspec.Struct, frozen=True, tag_field="verdict", tag="differs"):
    """What was read back is not what the rows are."""


class StoredPart(msgspec.Struct, frozen=True, kw_only=True):
    """A part as it was read back: sha256 is that of its lines, size_bytes that of the object."""

    key: str
    sha256: str
    size_bytes: int


class Archives:
    """Closed months, and how far they are copied.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    source  infra/supabase/migrations/20261106000500_archives.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def next_part(self, *, limit: int) -> ArchivePart | AllArchived:
        """Return what is to be copied next; the same again until it is noted.

        raises  StoreUnavailable
        """
        answer: type[ArchivePart | AllArchived] = ArchivePart | AllArchived  # type: ignore[assignment]
        return await self._database.call("read_archive_part", {"p_limit": limit}, answer)

    async def note(self, part: ArchivePart, stored: StoredPart, *, limit: int) -> PartNoted | PartDiffers:
        """Note a part as copied; the database compares with its rows what was read back.

        raises  StoreUnavailable; a retry is safe
        """
        answer: type[PartNoted | PartDiffers] = PartNoted | PartDiffers  # type: ignore[assignment]
        arguments: dict[str, Argument] = {
            "p_kind": part.kind,
            "p_month": part.month,
            "p_part": part.part,
            "p_limit": limit,
            "p_object": msgspec.structs.asdict(stored),
        }
        return await self._database.call("note_archive_part", arguments, answer)
