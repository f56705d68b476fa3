"""Copy closed months of usage and ledger to a bucket, and take for copied only what was read back as it is."""

import gzip
import hashlib
import time
import zlib

import msgspec

from shared.clients.object_store import ObjectStore
from shared.core.errors import StoreUnavailable
from shared.core.log import log_event
from shared.operations.archives import AllArchived, ArchivePart, Archives, PartDiffers, StoredPart

# Some megabytes of JSON, which a call to the database brings in seconds.
ROWS_A_PART = 5_000
MAX_PARTS = 2_000
# After this time no other part is begun; what is left is the next run's.
MAX_S = 150.0


class ArchiveMeans(msgspec.Struct, frozen=True):
    """What is archived, and where to; store: None where nothing is."""

    archives: Archives
    store: ObjectStore | None


class ArchiveCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What was copied."""

    parts_archived: int
    rows_archived: int


class CopyDiffers(Exception):
    """What was read back from the bucket is not what was copied; somebody has to look."""


async def archive_months(means: ArchiveMeans, *, rows_a_part: int = ROWS_A_PART) -> ArchiveCounts:
    """Copy part after part until every closed month is copied or the time is over.

    raises  CopyDiffers; StoreUnavailable; a retry is safe, and so are two at once: the same rows are the same object
    """
    until_s, parts, rows = time.monotonic() + MAX_S, 0, 0
    while means.store is not None and parts < MAX_PARTS and time.monotonic() < until_s:
        part = await means.archives.next_part(limit=rows_a_part)
        if isinstance(part, AllArchived):
            break
        stored = await _copy(means.store, part)
        noted = await means.archives.note(part, stored, limit=rows_a_part)
        if isinstance(noted, PartDiffers):
            log_event("archive_differs", level="error", object_key=stored.key)
            raise CopyDiffers(f"{stored.key} is not what the database has")
        parts, rows = parts + 1, rows + part.rows
    return ArchiveCounts(parts_archived=parts, rows_archived=rows)


async def _copy(store: ObjectStore, part: ArchivePart) -> StoredPart:
    """Store a part, and read it back: not what was sent counts, but what is there."""
    key = f"{part.kind}/{part.month}/{part.part:06d}.jsonl.gz"
    # Without a time in it, so that the same rows are the same bytes.
    await store.put(key, gzip.compress(part.lines.encode(), mtime=0))
    content = await store.get(key)
    try:
        lines = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise StoreUnavailable("archive") from error
    return StoredPart(key=key, sha256=hashlib.sha256(lines).hexdigest(), size_bytes=len(content))
