"""How a chat request ends in the books: settled for what it used, for nothing, or voided."""

from shared.core.clock import elapsed_ms
from shared.flows.chat_request import Chat
from shared.flows.chat_usage import ResolvedUsage, counted_input_tokens
from shared.ledger.types import Offer, Outcome, Quantities, Settlement, Usage, UsageSource


async def settle_answer(chat: Chat, offer: Offer, resolved: ResolvedUsage, outcome: Outcome) -> Settlement | None:
    """Charge for an answer, or for as much of one as there was; None when the ledger did not answer."""
    return await chat.meter.settle(
        Usage(
            price_id=offer.price_id,
            quantities=resolved.quantities,
            source=resolved.source,
            outcome=outcome,
            is_stream=chat.request.is_stream,
            attempts=tuple(chat.trail.attempts),
            duration_ms=elapsed_ms(chat.meter.started_s),
            first_byte_ms=chat.trail.first_byte_ms,
            reasoning_tokens=resolved.reasoning_tokens,
            reported_cost_nanos=resolved.reported_cost_nanos,
        )
    )


async def close_unanswered(chat: Chat) -> None:
    """End a request whose client got no byte of an answer: at no charge, and voided where no provider saw it.

    A provider that was still at it when our time was over bills the house; the books say the most that it can be.
    """
    offer = chat.trail.last_offer
    if offer is None or not chat.trail.is_reached:
        await chat.meter.void()
        return
    is_paid_by_house = chat.trail.is_out_of_time
    await chat.meter.settle(
        Usage(
            price_id=offer.price_id,
            quantities=_most_it_took(chat, offer) if is_paid_by_house else Quantities(requests=0),
            source=UsageSource.COUNTED if is_paid_by_house else UsageSource.NONE,
            outcome=Outcome.FAILED,
            is_stream=chat.request.is_stream,
            attempts=tuple(chat.trail.attempts),
            duration_ms=elapsed_ms(chat.meter.started_s),
            waived_reason="time_limit" if is_paid_by_house else "no_answer",
        )
    )


def _most_it_took(chat: Chat, offer: Offer) -> Quantities:
    return Quantities(
        input_tokens=counted_input_tokens(chat, offer), output_tokens=chat.request.choices * offer.output_tokens
    )
