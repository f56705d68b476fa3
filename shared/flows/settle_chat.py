"""What is only chat's of how a request ends: what its client is told, and the look for what a cut answer used."""

import asyncio
import time

from shared.flows.call import Call
from shared.flows.chat_request import Chat, counted_input_tokens
from shared.flows.look_up_usage import LookedUp, look_up_usage
from shared.flows.settle_call import settle, settle_later
from shared.ledger.late import LookUp
from shared.ledger.types import Offer, Usage
from shared.providers.dialect import Served

# Between the looks for a provider's record of an answer that was cut; it is there after a moment, or after minutes.
LOOK_UP_PAUSES_S = (0.3, 0.7, 1.0, 2.0)
# While a client waits for the last frame, which names no cost, it is looked for once.
LOOK_UP_PAUSES_FOR_A_CLIENT_S = (0.3,)
LOOK_UP_TIMEOUT_S = 2.0


def served_by(chat: Chat, offer: Offer) -> Served:
    """Return what a client is told of an answer that begins."""
    return Served(
        generation_id=chat.call.meter.generation_id,
        model=offer.model_id,
        input_tokens=counted_input_tokens(chat.counts, offer),
        began_at_s=int(time.time()),
        is_kept=chat.call.meter.keeps_answer,
    )


async def settle_by_look_up(call: Call, usage: Usage, look_up: LookUp, *, has_client: bool) -> None:
    """Charge for an answer that was cut what its provider's record says; where there is none yet, the sweep does."""
    pauses_s = LOOK_UP_PAUSES_FOR_A_CLIENT_S if has_client else LOOK_UP_PAUSES_S
    found: LookedUp | None = None
    try:
        found = await _look_for(call, look_up, pauses_s)
    finally:
        # Also when the function is being stopped meanwhile.
        if found is None:
            await settle_later(call, usage, look_up)
        else:
            await settle(call, found.applied_to(usage))


async def _look_for(call: Call, look_up: LookUp, pauses_s: tuple[float, ...]) -> LookedUp | None:
    provider = call.inference.providers[look_up.provider]
    for pause_s in pauses_s:
        await asyncio.sleep(pause_s)
        found = await look_up_usage(call.inference.upstream, provider, look_up, timeout_s=LOOK_UP_TIMEOUT_S)
        if found is not None:
            return found
    return None
