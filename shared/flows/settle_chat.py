"""How a chat request ends in the books: settled for what it used, for nothing, later, or voided."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec

from shared.core.clock import elapsed_ms
from shared.core.finish import finish
from shared.flows.chat_request import Chat, read_upstream_id
from shared.flows.chat_usage import ResolvedUsage, counted_input_tokens
from shared.flows.look_up_usage import LookedUp, look_up_usage
from shared.ledger.late import LookUp
from shared.ledger.types import Offer, Outcome, Quantities, Settlement, Usage, UsageSource
from shared.providers.dialect import Served
from shared.providers.priced import Priced

# Between the looks for a provider's record of an answer that was cut; it is there after a moment, or after minutes.
LOOK_UP_PAUSES_S = (0.3, 0.7, 1.0, 2.0)
# While a client waits for the last frame, which names no cost, it is looked for once.
LOOK_UP_PAUSES_FOR_A_CLIENT_S = (0.3,)
LOOK_UP_TIMEOUT_S = 2.0
# More than the database is waited for.
STORE_DEADLINE_S = 8.0


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An answer, or as much of one as there was.

    upstream_id: the provider's name for it, "" for none; ending: the last bytes that the client is sent, or all of them
    """

    offer: Offer
    resolved: ResolvedUsage
    outcome: Outcome
    upstream_id: str
    ending: Priced


async def settle_answer(chat: Chat, answered: Answered) -> Settlement | None:
    """Charge for an answer; None when the ledger did not settle it now."""
    return await chat.meter.settle(answer_usage(chat, answered))


@asynccontextmanager
async def stored_meanwhile(chat: Chat) -> AsyncIterator[None]:
    """Store an answer that later requests may name while it is settled, whatever happens to the caller."""
    storage = chat.request.storage
    if storage is None or not chat.meter.keeps_answer:
        yield
        return
    storing = asyncio.ensure_future(finish(storage.keep(chat.meter.generation_id), deadline_s=STORE_DEADLINE_S))
    try:
        yield
    finally:
        await storing


def served_by(chat: Chat, offer: Offer) -> Served:
    """Return what a client is told of an answer that begins."""
    return Served(
        generation_id=chat.meter.generation_id,
        model=offer.model_id,
        input_tokens=counted_input_tokens(chat, offer),
        began_at_s=int(time.time()),
    )


def answer_usage(chat: Chat, answered: Answered) -> Usage:
    """Return what is settled for an answer, and what is kept of it."""
    usage = _usage(chat, answered.offer, answered.outcome)
    return msgspec.structs.replace(
        usage,
        quantities=answered.resolved.quantities,
        source=answered.resolved.source,
        first_byte_ms=chat.trail.first_byte_ms,
        reasoning_tokens=answered.resolved.reasoning_tokens,
        reported_cost_nanos=answered.resolved.reported_cost_nanos,
        upstream_id=read_upstream_id(answered.upstream_id) or usage.upstream_id,
        answer=None if chat.keeper is None else chat.keeper.seal(chat.inference.sealer, answered.ending),
    )


async def settle_by_look_up(chat: Chat, usage: Usage, look_up: LookUp, *, has_client: bool) -> None:
    """Charge for an answer that was cut what its provider's record says; where there is none yet, the sweep does."""
    pauses_s = LOOK_UP_PAUSES_FOR_A_CLIENT_S if has_client else LOOK_UP_PAUSES_S
    found: LookedUp | None = None
    try:
        found = await _look_for(chat, look_up, pauses_s)
    finally:
        # Also when the function is being stopped meanwhile.
        if found is None:
            await chat.meter.settle_later(usage, look_up)
        else:
            await chat.meter.settle(found.applied_to(usage))


async def close_unanswered(chat: Chat) -> None:
    """End a request whose client got no byte of an answer: at no charge, and voided where no provider saw it.

    A provider that was still at it when our time was over bills the house; the books say the most that it can be.
    """
    offer = chat.trail.last_offer
    if offer is None or not chat.trail.is_reached:
        await chat.meter.void()
        return
    usage = msgspec.structs.replace(_usage(chat, offer, Outcome.FAILED), waived_reason="no_answer")
    if chat.trail.is_out_of_time:
        usage = msgspec.structs.replace(
            usage, quantities=_most_it_took(chat, offer), source=UsageSource.COUNTED, waived_reason="time_limit"
        )
    await chat.meter.settle(usage)


def usage_if_crashed(chat: Chat) -> tuple[Usage, LookUp] | None:
    """Return what the house is to pay if this function dies now; None where the provider cannot be asked."""
    offer, look_up = chat.trail.last_offer, chat.trail.look_up
    if offer is None or look_up is None:
        return None
    usage = msgspec.structs.replace(
        _usage(chat, offer, Outcome.FAILED),
        quantities=_most_it_took(chat, offer),
        source=UsageSource.COUNTED,
        waived_reason="crashed",
    )
    return usage, look_up


async def _look_for(chat: Chat, look_up: LookUp, pauses_s: tuple[float, ...]) -> LookedUp | None:
    provider = chat.inference.providers[look_up.provider]
    for pause_s in pauses_s:
        await asyncio.sleep(pause_s)
        found = await look_up_usage(chat.inference.upstream, provider, look_up, timeout_s=LOOK_UP_TIMEOUT_S)
        if found is not None:
            return found
    return None


def _usage(chat: Chat, offer: Offer, outcome: Outcome) -> Usage:
    return Usage(
        price_id=offer.price_id,
        quantities=Quantities(requests=0),
        source=UsageSource.NONE,
        outcome=outcome,
        is_stream=chat.request.is_stream,
        attempts=tuple(chat.trail.attempts),
        duration_ms=elapsed_ms(chat.meter.started_s),
        request=chat.facts,
        upstream_id=None if chat.trail.look_up is None else chat.trail.look_up.upstream_id,
    )


def _most_it_took(chat: Chat, offer: Offer) -> Quantities:
    return Quantities(
        input_tokens=counted_input_tokens(chat, offer), output_tokens=chat.request.choices * offer.output_tokens
    )
