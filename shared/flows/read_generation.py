"""Look at one of the caller's own requests afterwards: what it was and cost, and erase what is kept of its answer."""

from collections.abc import Awaitable, Callable

from shared.core.finish import finish
from shared.core.ids import GenerationId, new_generation_id
from shared.flows.inference import Caller, Inference
from shared.flows.open_meter import key_policy
from shared.keys.format import InvalidApiKey
from shared.ledger.generations import Erased, Generation
from shared.ledger.refusals import refusal_error
from shared.ledger.types import Refused
from shared.limits.headers import rate_limit_headers
from shared.limits.types import FailedOpen, KeyPolicy, KeyUnknown, KeyUnseen, Reservation, to_give_back

# The lease of a request that is over frees itself within a minute; nobody waits longer for that than for its answer.
RELEASE_DEADLINE_S = 2.0


async def read_generation(
    inference: Inference, caller: Caller, generation_id: GenerationId, answer_headers: dict[str, str]
) -> Generation:
    """Pass the limiter and tell what one request of the caller's account was and cost.

    raises  RateLimited, InvalidApiKey, GenerationNotFound and the ledger's other refusals of a key, StoreUnavailable
    """

    async def ask() -> Generation | Refused:
        return await inference.ledger.read_generation(
            generation_id,
            key_hmacs=caller.fingerprints,
            address=caller.address,
            origin_host=caller.origin_host,
        )

    return await _ask_within_limits(inference, caller, ask, answer_headers)


async def erase_answer(
    inference: Inference, caller: Caller, generation_id: GenerationId, answer_headers: dict[str, str]
) -> None:
    """Pass the limiter and erase what is kept of an answer for a retry; again is harmless.

    raises  as read_generation; RateLimited at a key's first sight in an hour comes after the work is done
    """

    async def ask() -> Erased | Refused:
        return await inference.ledger.erase_answer(
            generation_id,
            key_hmacs=caller.fingerprints,
            address=caller.address,
            origin_host=caller.origin_host,
        )

    await _ask_within_limits(inference, caller, ask, answer_headers)


async def _ask_within_limits[T: (Generation, Erased)](
    inference: Inference, caller: Caller, ask: Callable[[], Awaitable[T | Refused]], answer_headers: dict[str, str]
) -> T:
    """Count a request that uses no tokens, ask the ledger, and give the lease back whatever happened."""
    lease_id = new_generation_id().hex
    reserved = await inference.limiter.reserve(
        key=caller.fingerprints[0], address=caller.address or "", lease_id=lease_id, tokens=0
    )
    if isinstance(reserved, KeyUnknown):
        raise InvalidApiKey
    try:
        answer = await ask()
        if isinstance(answer, Refused) and answer.code == InvalidApiKey.code:
            await inference.limiter.remember_unknown(caller.fingerprints[0])
            raise InvalidApiKey
        if not isinstance(reserved, Reservation) and answer.policy is not None:
            reserved = await _count_late(inference, caller, (lease_id, key_policy(answer.policy)), reserved)
        if isinstance(reserved, Reservation):
            answer_headers.update(rate_limit_headers(reserved.state))
        if isinstance(answer, Refused):
            raise refusal_error(answer)
        return answer
    finally:
        if (reservation := to_give_back(reserved)) is not None:
            await finish(inference.limiter.release(reservation, used_tokens=0), deadline_s=RELEASE_DEADLINE_S)


async def _count_late(
    inference: Inference, caller: Caller, lease: tuple[str, KeyPolicy], reserved: KeyUnseen | FailedOpen
) -> Reservation | FailedOpen:
    """Count a request whose policy only the ledger knew.

    raises  RateLimited
    """
    lease_id, policy = lease
    key = caller.fingerprints[0]
    if isinstance(reserved, FailedOpen):
        inference.limiter.reserve_locally(policy, key=key)
        return reserved
    return await inference.limiter.reserve_with_policy(policy, key=key, lease_id=lease_id, tokens=0)
