"""Late settlements: what could not be settled in time is settled from the list, each record once."""

import asyncio
import hashlib
import time
from collections import Counter
from collections.abc import Mapping
from typing import Literal

import msgspec

from shared.clients.redis_failure import RedisUnavailable
from shared.clients.upstream import Upstream
from shared.core.clock import ClockMs
from shared.core.errors import StoreUnavailable
from shared.core.ids import ProviderSlug, format_generation_id
from shared.core.log import about_generation, log_event
from shared.core.metrics import Metrics
from shared.core.verdicts import Refused
from shared.flows.inference import ConfiguredProvider
from shared.flows.look_up_usage import look_up_usage
from shared.flows.report_call import money_fields
from shared.ledger.late import LateSettlement, LateSettlements, Taken
from shared.ledger.store import Ledger
from shared.ledger.types import Settlement, Usage

# Settled at the same time, and taken at a call.
BATCH = 16
# Waiting for a provider takes none of our time.
LOOK_UP_BATCH = 64
# No more is taken after so long; what is left waits for the next minute.
RUN_S = 15.0
LOOK_UP_TIMEOUT_S = 5.0
# A record that its provider has not told by then is settled by what we counted.
LOOK_UP_LIMIT_S = 3600
# After so many settlements that failed while the store does other things, the record itself is at fault.
MAX_TRIES = 10
# What is due again within seconds waits for the next sweep all the same; the waits matter where sweeps come often.
LOOK_UP_PAUSES_S = ((30, 5), (120, 15), (LOOK_UP_LIMIT_S, 60))
RETRY_PAUSES_S = (5, 15, 60, 120, 300)
# Enough of a record that cannot be read to see what it was.
MOST_TEXT = 4000

# kept: a store was away; the record is on the list as it was, or with one more try.
End = Literal["settled", "waiting", "buried", "kept"]


class LateMeans(msgspec.Struct, frozen=True, kw_only=True):
    """What late settlements are made with."""

    late: LateSettlements
    ledger: Ledger
    upstream: Upstream
    providers: Mapping[ProviderSlug, ConfiguredProvider]
    clock_ms: ClockMs
    metrics: Metrics = Metrics()


class LateCounts(msgspec.Struct, frozen=True):
    """How records that were due have ended: settled; still on the list; given up as dead letters."""

    settled: int
    waiting: int
    buried: int


async def settle_late(means: LateMeans) -> LateCounts:
    """Settle what is due. Any number of sweeps may run at once, and one that dies leaves its records to the next.

    raises  RedisUnavailable when the list cannot be read; a retry is safe
    policy  closed: a record stays on the list until the ledger has settled it or keeps it as a dead letter
    """
    ends = await _end_all(means, are_look_ups=False) + await _end_all(means, are_look_ups=True)
    return LateCounts(settled=ends["settled"], waiting=ends["waiting"] + ends["kept"], buried=ends["buried"])


async def _end_all(means: LateMeans, *, are_look_ups: bool) -> Counter[End]:
    ends: Counter[End] = Counter()
    stops_at_s = time.monotonic() + RUN_S
    while time.monotonic() < stops_at_s:
        taken = await means.late.take(LOOK_UP_BATCH if are_look_ups else BATCH, are_look_ups=are_look_ups)
        batch = Counter(await asyncio.gather(*(_end(means, each) for each in taken)))
        ends += batch
        if batch["kept"] == len(taken):
            # Nothing is left, or a store is away: it is not asked for one batch after the other.
            break
    return ends


async def _end(means: LateMeans, taken: Taken) -> End:
    """Bring one record as far as it goes now; where a store is away it stays on the list."""
    try:
        if taken.record is None:
            return await _bury(means, taken, "undecodable")
        with about_generation(taken.record.generation_id):
            return await _end_record(means, taken, taken.record)
    except (RedisUnavailable, StoreUnavailable) as error:
        log_event("late_settlement_kept", level="warning", reason=type(error).__name__)
        return "kept"


async def _end_record(means: LateMeans, taken: Taken, record: LateSettlement) -> End:
    usage = await _usage_of(means, record)
    if usage is None:
        await means.late.replace(taken, record, due_ms=_after(means, _look_up_pause_s(means, record)))
        return "waiting"
    return await _settle(means, taken, record, usage)


async def _usage_of(means: LateMeans, record: LateSettlement) -> Usage | None:
    """Return what to settle; None while the provider may still tell."""
    if record.look_up is None:
        return record.usage
    provider = means.providers.get(record.look_up.provider)
    if provider is not None:
        looked_up = await look_up_usage(means.upstream, provider, record.look_up, timeout_s=LOOK_UP_TIMEOUT_S)
        if looked_up is not None:
            return looked_up.applied_to(record.usage)
    if _age_s(means, record) < LOOK_UP_LIMIT_S:
        return None
    log_event(
        "look_up_given_up",
        level="warning",
        generation_id=format_generation_id(record.generation_id),
        provider=record.look_up.provider,
        upstream_id=record.look_up.upstream_id,
        is_configured=provider is not None,
    )
    return record.usage


async def _settle(means: LateMeans, taken: Taken, record: LateSettlement, usage: Usage) -> End:
    try:
        answer = await means.ledger.settle(record.generation_id, usage)
    except StoreUnavailable:
        return await _put_off(means, taken, record)
    if isinstance(answer, Refused):
        return await _bury(means, taken, answer.code)
    _log_settled(means, record, answer)
    await means.late.remove(taken)
    return "settled"


async def _put_off(means: LateMeans, taken: Taken, record: LateSettlement) -> End:
    """Try again later; a record that has failed often while the store did other work is given up.

    raises  StoreUnavailable when the store does not take its dead letter; the record then stays as it was
    """
    tries = record.tries + await _does_other_work(means)
    if tries > MAX_TRIES:
        return await _bury(means, taken, "not_settled")
    pause_s = RETRY_PAUSES_S[min(tries, len(RETRY_PAUSES_S) - 1)]
    await means.late.replace(taken, msgspec.structs.replace(record, tries=tries), due_ms=_after(means, pause_s))
    return "kept"


async def _does_other_work(means: LateMeans) -> bool:
    """Tell whether it is the record that fails, and not the store."""
    try:
        await means.ledger.expire_holds()
    except StoreUnavailable:
        return False
    return True


async def _bury(means: LateMeans, taken: Taken, reason: str) -> End:
    record = taken.record
    subject = (
        hashlib.sha256(taken.text.encode(errors="backslashreplace")).hexdigest()
        if record is None
        else str(record.generation_id)
    )
    await means.ledger.add_dead_letter(
        "late_settlement", subject, payload=_payload(taken), reason=reason, tries=0 if record is None else record.tries
    )
    await means.late.remove(taken)
    log_event("late_settlement_buried", level="error", subject=subject, reason=reason)
    return "buried"


def _payload(taken: Taken) -> dict[str, object]:
    """Return what an admin is shown: the record without its answer, or the beginning of what is no record."""
    text = _without_answer(taken.text)
    if taken.record is not None and "\\u0000" not in text:
        return msgspec.json.decode(text, type=dict[str, object])
    # The database's JSON holds neither a zero character nor half of a surrogate pair.
    return {"text": text[:MOST_TEXT].encode("ascii", "backslashreplace").decode().replace("\0", "\\0")}


def _without_answer(text: str) -> str:
    try:
        fields = msgspec.json.decode(text)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return text
    usage = fields.get("usage") if isinstance(fields, dict) else None
    if not isinstance(usage, dict):
        return text
    usage.pop("answer", None)
    return msgspec.json.encode(fields).decode()


def _look_up_pause_s(means: LateMeans, record: LateSettlement) -> int:
    age_s = _age_s(means, record)
    return next((pause_s for until_s, pause_s in LOOK_UP_PAUSES_S if age_s < until_s), LOOK_UP_PAUSES_S[-1][1])


def _age_s(means: LateMeans, record: LateSettlement) -> float:
    return (means.clock_ms() - record.since_ms) / 1000


def _after(means: LateMeans, pause_s: int) -> int:
    return means.clock_ms() + pause_s * 1000


def _log_settled(means: LateMeans, record: LateSettlement, answer: Settlement) -> None:
    if answer.is_repeated:
        return
    measured = means.metrics.of_late_settlement(money_fields(answer), at_ms=means.clock_ms())
    log_event("call_settled_late", level="info", **measured)
    if not (answer.shortfall_nanos or answer.cost_excess_nanos):
        return
    log_event(
        "shortfall_booked",
        level="error",
        generation_id=format_generation_id(record.generation_id),
        shortfall_nanos=answer.shortfall_nanos,
        cost_excess_nanos=answer.cost_excess_nanos,
    )
