"""How a call ends in the books: settled for what it used, for nothing, or voided."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from shared.core.clock import elapsed_ms
from shared.core.finish import finish
from shared.core.log import log_event
from shared.core.money import Nanos
from shared.flows.call import Call, read_upstream_id
from shared.flows.report_call import log_call, traced_meanwhile
from shared.ledger.late import LookUp
from shared.ledger.types import Offer, Outcome, Quantities, Settlement, Usage, UsageSource
from shared.providers.priced import Priced

# More than the database is waited for.
STORE_DEADLINE_S = 8.0


class Charged(msgspec.Struct, frozen=True, kw_only=True):
    """What is charged for an answer, and where that is known from; reasoning_tokens: those within the output."""

    quantities: Quantities
    source: UsageSource
    reasoning_tokens: int = 0
    reported_cost_nanos: Nanos | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or as much of one as there was.

    upstream_id: the provider's name for it, "" for none; ending: the last bytes that the client is sent, or all of them
    """

    offer: Offer
    charged: Charged
    outcome: Outcome
    upstream_id: str
    ending: Priced


async def settle_answer(call: Call, answered: Answered) -> Settlement | None:
    """Charge for an answer; None when the ledger did not settle it now."""
    return await settle(call, answer_usage(call, answered))


async def settle(call: Call, usage: Usage) -> Settlement | None:
    """Charge what a call used, and tell of it; None when the ledger did not settle it now."""
    settlement = None
    try:
        async with traced_meanwhile(call, usage):
            settlement = await call.meter.settle(usage)
    finally:
        log_call(call, usage, settlement)
    return settlement


async def settle_later(call: Call, usage: Usage, look_up: LookUp) -> None:
    """Leave the charge to the sweep, which asks the provider for it, and tell of the call now."""
    try:
        async with traced_meanwhile(call, usage):
            await call.meter.settle_later(usage, look_up)
    finally:
        log_call(call, usage, None)


@asynccontextmanager
async def stored_meanwhile(call: Call) -> AsyncIterator[None]:
    """Store an answer that later requests may name while it is settled, whatever happens to the caller."""
    storage = call.request.storage
    if storage is None or not call.meter.keeps_answer:
        yield
        return
    storing = asyncio.ensure_future(finish(storage.keep(call.meter.generation_id), deadline_s=STORE_DEADLINE_S))
    try:
        yield
    finally:
        await storing


def answer_usage(call: Call, answered: Answered) -> Usage:
    """Return what is settled for an answer, and what is kept of it."""
    usage = _usage(call, answered.offer, answered.outcome)
    charged = answered.charged
    return msgspec.structs.replace(
        usage,
        quantities=charged.quantities,
        source=charged.source,
        first_byte_ms=call.trail.first_byte_ms,
        reasoning_tokens=charged.reasoning_tokens,
        reported_cost_nanos=_with_lost_cost(call, charged.reported_cost_nanos),
        upstream_id=read_upstream_id(answered.upstream_id) or usage.upstream_id,
        answer=None if call.keeper is None else call.keeper.seal(call.inference.sealer, answered.ending),
    )


async def close_unanswered(call: Call) -> None:
    """End a request whose client got no byte of an answer: at no charge, and voided where no provider saw it.

    A provider that was still at it when our time was over bills the house, and so does one that answered more than is
    read, or what could not be used and not what that cost; the books say the most that it can be.
    """
    offer = call.trail.last_offer
    if offer is None:
        await call.meter.void()
        return
    if not call.trail.is_reached:
        await _void(call, _usage(call, offer, Outcome.FAILED))
        return
    await settle(call, _unanswered(call, offer))


def usage_if_crashed(call: Call) -> tuple[Usage, LookUp] | None:
    """Return what the house is to pay if this function dies now; None where the provider cannot be asked."""
    offer, look_up = call.trail.last_offer, call.trail.look_up
    if offer is None or look_up is None:
        return None
    return _most(call, offer, waived_reason="crashed"), look_up


async def _void(call: Call, usage: Usage) -> None:
    try:
        async with traced_meanwhile(call, usage):
            await call.meter.void()
    finally:
        log_call(call, usage, None)


def _unanswered(call: Call, offer: Offer) -> Usage:
    if call.trail.is_out_of_time or call.trail.is_too_large:
        _tell_lost_cost(call)
        return _most(call, offer, waived_reason="time_limit" if call.trail.is_out_of_time else "answer_too_large")
    if call.trail.unsaid_offer is not None:
        _tell_lost_cost(call)
        return _most(call, call.trail.unsaid_offer, waived_reason="no_answer")
    return msgspec.structs.replace(
        _usage(call, offer, Outcome.FAILED),
        waived_reason="no_answer",
        reported_cost_nanos=Nanos(call.trail.lost_cost_nanos) or None,
    )


def _with_lost_cost(call: Call, reported_cost_nanos: Nanos | None) -> Nanos | None:
    """Add what was charged for answers that could not be used, where the one that could be reports its own cost."""
    if reported_cost_nanos is not None:
        return Nanos(reported_cost_nanos + call.trail.lost_cost_nanos)
    _tell_lost_cost(call)
    return None


def _tell_lost_cost(call: Call) -> None:
    """Have the log say what was charged for answers that could not be used, where the books compute a cost."""
    if call.trail.lost_cost_nanos:
        log_event("cost_lost", level="warning", cost_nanos=call.trail.lost_cost_nanos)


def _most(call: Call, offer: Offer, *, waived_reason: str) -> Usage:
    return msgspec.structs.replace(
        _usage(call, offer, Outcome.FAILED),
        quantities=call.request.most_it_took(offer),
        source=UsageSource.COUNTED,
        waived_reason=waived_reason,
    )


def _usage(call: Call, offer: Offer, outcome: Outcome) -> Usage:
    return Usage(
        price_id=offer.price_id,
        quantities=Quantities(requests=0),
        source=UsageSource.NONE,
        outcome=outcome,
        is_stream=call.request.is_stream,
        attempts=tuple(call.trail.attempts),
        duration_ms=elapsed_ms(call.meter.started_s),
        request=call.request.facts,
        upstream_id=None if call.trail.look_up is None else call.trail.look_up.upstream_id,
    )
