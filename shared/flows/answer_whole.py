"""A call answered in one piece: the first provider that can answers it, it is charged, and then it leaves."""

from collections.abc import Awaitable, Callable

from shared.flows.attempt_providers import attempt_in_turn
from shared.flows.call import Call
from shared.flows.settle_call import Answered, close_unanswered, settle_answer, stored_meanwhile, usage_if_crashed
from shared.ledger.types import Offer


async def answer_whole[T](
    call: Call,
    ask: Callable[[Offer], Awaitable[T]],
    answered: Callable[[T], Answered],
    answer_headers: dict[str, str],
) -> bytes:
    """Ask the providers in turn, charge the first answer, and return it with its cost.

    ask: asks one provider, raising what attempt_in_turn goes on after; answered: says what an answer comes to. Where
    that fails, nobody pays. answer_headers gets X-Provider.

    raises  what attempt_in_turn raises; none of it is charged
    """
    is_answered = False
    try:
        async with call.meter.kept_alive(lambda: usage_if_crashed(call)):
            answer = await attempt_in_turn(call, ask)
        done = answered(answer)
        is_answered = True
    finally:
        if not is_answered:
            await close_unanswered(call)
    answer_headers["X-Provider"] = done.offer.provider
    async with stored_meanwhile(call):
        settlement = await settle_answer(call, done)
    return done.ending.with_cost(None if settlement is None else settlement.cost_nanos)


async def stay_silent() -> None:
    """Send nothing to a client that waits for a whole answer."""
