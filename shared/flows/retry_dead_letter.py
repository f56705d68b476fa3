"""Have what was given up tried once more, by the job that gave it up."""

import msgspec

from shared.clients.redis_failure import RedisUnavailable
from shared.core.admin import Admin
from shared.core.clock import ClockMs
from shared.core.errors import StoreUnavailable
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.flows.ask_as_admin import AdminDesk, AdminPetition, change_as_admin
from shared.ledger.late import LateSettlement, LateSettlements
from shared.operations.state import OperatedState
from shared.operations.state_types import Letter, LetterTold


class RetryMeans(msgspec.Struct, frozen=True):
    """What records are tried again with."""

    desk: AdminDesk
    state: OperatedState
    late: LateSettlements
    clock_ms: ClockMs


async def retry_dead_letter(means: RetryMeans, petition: AdminPetition, letter_id: int) -> Letter:
    """Put a record back where its job finds it; where that fails again, it stands open again.

    raises  AdminRequired, DeadLetterNotFound, DeadLetterResolved, DeadLetterStays; as ask_as_admin. A retry is safe: a
            hold settles once, and what stands on a list twice stands there once
    """

    async def retry(receipt: Receipt) -> LetterTold | Refused:
        found = await _put_back(means, petition.admin, letter_id)
        if isinstance(found, Refused):
            return found
        return await means.state.retry_letter(petition.admin, letter_id, receipt.to_json())

    return (await change_as_admin(means.desk, petition, retry)).letter


async def _put_back(means: RetryMeans, admin: Admin, letter_id: int) -> LetterTold | Refused:
    """Put a late settlement on its list before it is taken for resolved: in the other order it could be lost."""
    found = await means.state.read_letter(admin, letter_id)
    if isinstance(found, Refused) or found.letter.kind != "late_settlement" or found.letter.resolved_at is not None:
        return found
    record = _record_of(found.letter)
    if record is not None:
        try:
            await means.late.put(record, due_ms=means.clock_ms())
        except RedisUnavailable as error:
            raise StoreUnavailable("list of late settlements") from error
    return found


def _record_of(letter: Letter) -> LateSettlement | None:
    """Return the record with all its tries before it; None where the letter holds the beginning of what is none."""
    try:
        record = msgspec.convert(letter.payload, LateSettlement)
    except msgspec.ValidationError:
        return None
    return msgspec.structs.replace(record, tries=0)
