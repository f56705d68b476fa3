"""The sweep behind every crash and every outage: what was not settled in time is settled, let go, or given up."""

import msgspec

from shared.clients.redis_failure import RedisUnavailable
from shared.core.errors import StoreUnavailable
from shared.core.log import log_event
from shared.flows.due_work import repeat_until_none
from shared.flows.settle_late import LateCounts, LateMeans, settle_late

# Some hundreds of wallets or answers each; what is left waits for the next minute.
MOST_CALLS = 20


class SweepCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What a sweep did."""

    late: LateCounts
    wallets: int
    answers_erased: int


async def sweep_settlements(means: LateMeans) -> SweepCounts:
    """Make late settlements, bring wallets with overdue holds or expired lots to the present, erase old answers.

    In this order: a hold that is about to end is still charged in full by a settlement that is due. A wallet that is
    busy is passed over: whoever uses it does the same under its lock.

    raises  StoreUnavailable for either store, after what needs the other alone has been done; a retry is safe, and so
            are two at once
    """
    late: LateCounts | None = None
    try:
        late = await settle_late(means)
    except RedisUnavailable as error:
        log_event("late_settlements_unread", level="error", reason=str(error))
    wallets = await repeat_until_none(lambda: _expired(means), most_calls=MOST_CALLS)
    answers_erased = await repeat_until_none(lambda: _erased(means), most_calls=MOST_CALLS)
    if late is None:
        raise StoreUnavailable("list of late settlements")
    return SweepCounts(late=late, wallets=wallets, answers_erased=answers_erased)


async def _expired(means: LateMeans) -> int:
    return (await means.ledger.expire_holds()).wallets


async def _erased(means: LateMeans) -> int:
    return (await means.ledger.erase_answers()).count
