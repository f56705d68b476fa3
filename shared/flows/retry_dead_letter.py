"""Have what was given up tried once more, by the job that gave it up."""

import msgspec

from shared.clients.redis_failure import RedisUnavailable
from shared.core.clock import ClockMs
from shared.core.errors import StoreUnavailable
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.flows.ask_as_admin import AdminDesk, AdminPetition, change_as_admin
from shared.flows.refusals import refusal_error
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
        known = receipt.to_json()
        found = await means.state.read_letter(petition.admin, letter_id, known)
        if isinstance(found, Refused) or found.is_replayed:
            return found
        if found.letter.kind == "late_settlement" and found.letter.resolved_at is None:
            await _put_back(means, found.letter)
        return await means.state.retry_letter(petition.admin, letter_id, known)

    return (await change_as_admin(means.desk, petition, retry)).letter


async def _put_back(means: RetryMeans, letter: Letter) -> None:
    """Put a late settlement on its list before it is taken for resolved: in the other order it could be lost."""
    record = _record_of(letter)
    if record is None:
        raise refusal_error(Refused(status=409, code="dead_letter_stays", numbers={}))
    try:
        await means.late.put(record, due_ms=means.clock_ms())
    except RedisUnavailable as error:
        raise StoreUnavailable("list of late settlements") from error


def _record_of(letter: Letter) -> LateSettlement | None:
    """Return the record with all its tries before it; None where this version of the gateway cannot read it."""
    try:
        record = msgspec.convert(letter.payload, LateSettlement)
    except msgspec.ValidationError:
        return None
    return msgspec.structs.replace(record, tries=0)
