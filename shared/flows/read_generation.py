"""Look at one of the caller's own requests afterwards: what it was and cost, and erase what is kept of its answer."""

from shared.core.caller import Caller
from shared.core.ids import GenerationId
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.ledger.generations import Erased, Generation
from shared.ledger.store import Ledger


async def read_generation(
    desk: Desk, caller: Caller, generation_id: GenerationId, answer_headers: dict[str, str]
) -> Generation:
    """Pass the limiter and tell what one request of the caller's account was and cost.

    raises  RateLimited, InvalidApiKey, GenerationNotFound and the refusals of a key, StoreUnavailable
    """

    async def ask() -> Generation | Refused:
        return await Ledger(desk.database).read_generation(generation_id, caller)

    return await ask_within_limits(desk, caller, ask, answer_headers)


async def erase_answer(desk: Desk, caller: Caller, generation_id: GenerationId, answer_headers: dict[str, str]) -> None:
    """Pass the limiter and erase what is kept of an answer for a retry; again is harmless.

    raises  as read_generation; RateLimited at a key's first sight in an hour comes after the work is done
    """

    async def ask() -> Erased | Refused:
        return await Ledger(desk.database).erase_answer(generation_id, caller)

    await ask_within_limits(desk, caller, ask, answer_headers)
