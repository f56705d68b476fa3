"""The way in of every metered request: past the limiter, then admission, to a meter that holds its money."""

import asyncio
import time
from collections.abc import Awaitable, Callable

import msgspec

from shared.core.caller import Caller
from shared.core.errors import GatewayError, NotConfigured, StoreUnavailable
from shared.core.finish import finish
from shared.core.ids import GenerationId, ModelId, ProviderSlug, format_generation_id, new_generation_id
from shared.core.log import generation_in_context, log_event
from shared.core.pulse import wait_with_pulse
from shared.core.receipts import note_replay
from shared.core.verdicts import LimitsPolicy, Refused
from shared.flows.ask import turn_away
from shared.flows.inference import Inference
from shared.flows.meter import SETTLE_DEADLINE_S, Meter
from shared.flows.refusals import refusal_error
from shared.flows.stream_clock import FIRST_PING_S, PING_S
from shared.keys.refusals import unknown_caller
from shared.ledger.refusals import IdempotencyInProgress, NoProviderAvailable, money_refusal_of
from shared.ledger.types import (
    AdmissionRequest,
    Admitted,
    Bounds,
    Claim,
    Replay,
)
from shared.limits.answers import Request
from shared.limits.headers import rate_limit_headers
from shared.limits.refusals import RateLimited
from shared.limits.types import (
    FailedOpen,
    KeyUnknown,
    KeyUnseen,
    Reservation,
    ReserveAnswer,
    to_give_back,
)
from shared.routing.store import Look

# What the largest models write. The limiter comes before the catalog, so it cannot know the model's own limit.
MAX_RESERVED_OUTPUT_TOKENS = 131_072
# A hold of which admission's answer did not tell: taken back if it is there, not waited for.
VOID_UNANSWERED_S = 1.0
# Between looks at whether the first of two same requests has its answer.
FIRST_LOOK_S = 0.25
LONGEST_LOOK_S = 2.0

Pulse = Callable[[], Awaitable[None]]
Verdict = Admitted | Replay | Refused


class MeteredRequest(msgspec.Struct, frozen=True, kw_only=True):
    """What is asked of the meter: which models, which providers may serve them, and how much it may come to.

    claim: how the request is known again; time_limit_s: how long it may take from when it came; look: what it hears of
    the providers on the way, None for one that needs none
    """

    models: tuple[ModelId, ...]
    providers: tuple[ProviderSlug, ...]
    bounds: Bounds
    claim: Claim | None
    time_limit_s: float
    look: Look | None = None

    @property
    def tokens(self) -> int:
        """The tokens that the limiter reserves until the request's own are known; it cannot know yet what reasons."""
        per_choice = min(self.bounds.output_tokens, MAX_RESERVED_OUTPUT_TOKENS)
        return self.bounds.input_tokens + self.bounds.choices * per_choice


async def open_meter(
    inference: Inference, caller: Caller, request: MeteredRequest, answer_headers: dict[str, str], pulse: Pulse
) -> Meter | Replay:
    """Pass the limiter, then admission: two round trips for a key seen within the hour, three at first sight.

    A request that came before and was paid for gets what was kept of its answer, and neither holds nor costs anything.
    An SDK's retry that comes while the first is under way waits for it; pulse is called while it does.
    answer_headers gets what every authenticated answer carries, refusals included.

    raises  RateLimited, InvalidApiKey, NotConfigured, the ledger's refusals, StoreUnavailable; none of them leaves a
            lease, and none a hold, but where the store stays away a hold that its admission placed unseen lets go only
            at its end
    """
    generation_id = new_generation_id()
    reserved = await _reserve(inference, caller, request, generation_id, answer_headers)
    is_admitted = False
    try:

        async def stay() -> None:
            if isinstance(reserved, Reservation):
                await inference.limiter.renew(reserved)
            await pulse()

        admitted = await _admit_in_turn(inference, caller, request, generation_id, stay)
        if admitted.policy is not None and not isinstance(reserved, Reservation):
            sighting = (generation_id, admitted.policy, reserved)
            reserved = await _count_late(inference, caller, request, sighting, admitted)
            if isinstance(reserved, Reservation):
                answer_headers.update(rate_limit_headers(reserved.state))
        if isinstance(admitted, Refused):
            raise _refusal(inference, request, admitted)
        is_admitted = isinstance(admitted, Admitted)
    finally:
        reservation = to_give_back(reserved)
        if not is_admitted and reservation is not None:
            report = inference.shared_health.report()
            giving_back = inference.limiter.release(reservation, used_tokens=0, rider=report)
            await finish(giving_back, deadline_s=SETTLE_DEADLINE_S)
    if isinstance(admitted, Replay):
        generation_in_context.set(admitted.generation_id)
        note_replayed(admitted, answer_headers)
        return admitted
    generation_in_context.set(generation_id)
    answer_headers["X-Generation-Id"] = format_generation_id(generation_id)
    return Meter(inference, generation_id, admitted, reservation, started_s=caller.received_s)


def note_replayed(replay: Replay, answer_headers: dict[str, str]) -> None:
    """Have the answer say what the first one's headers said, and that it was given before."""
    answer_headers["X-Generation-Id"] = format_generation_id(replay.generation_id)
    answer_headers["X-Provider"] = replay.provider
    note_replay(answer_headers)


async def _reserve(
    inference: Inference,
    caller: Caller,
    request: MeteredRequest,
    generation_id: GenerationId,
    answer_headers: dict[str, str],
) -> Reservation | KeyUnseen | FailedOpen:
    answer: ReserveAnswer = await inference.limiter.reserve_along(
        Request(
            key=caller.fingerprints[0],
            lease_id=generation_id.hex,
            tokens=request.tokens,
            is_counted=caller.is_counted,
        ),
        address=caller.address or "",
        rider=None if request.look is None else request.look.rider,
    )
    if isinstance(answer, KeyUnknown):
        raise unknown_caller(caller)
    if isinstance(answer, Reservation):
        answer_headers.update(rate_limit_headers(answer.state))
    return answer


async def _admit_in_turn(
    inference: Inference, caller: Caller, request: MeteredRequest, generation_id: GenerationId, pulse: Pulse
) -> Verdict:
    """Ask for admission; an SDK's own retry waits until the request that it repeats has ended.

    Where the time is over first, the answer is still the refusal that the other is under way.
    """
    verdict = await _admit(inference, caller, request, generation_id)
    if not _is_under_way(verdict) or request.claim is None or request.claim.key_hmacs is not None:
        return verdict

    async def wait_for_the_first() -> Verdict:
        latest, pause_s = verdict, FIRST_LOOK_S
        while _is_under_way(latest) and time.monotonic() + pause_s < caller.received_s + request.time_limit_s:
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, LONGEST_LOOK_S)
            latest = await _admit(inference, caller, request, generation_id)
        return latest

    return await wait_with_pulse(wait_for_the_first(), pulse, first_s=FIRST_PING_S, then_s=PING_S)


def _is_under_way(verdict: Verdict) -> bool:
    return isinstance(verdict, Refused) and verdict.code == IdempotencyInProgress.code


async def _admit(inference: Inference, caller: Caller, request: MeteredRequest, generation_id: GenerationId) -> Verdict:
    admission = AdmissionRequest(
        generation_id=generation_id,
        caller=caller,
        models=request.models,
        providers=request.providers,
        bounds=request.bounds,
        lifetime_s=inference.hold_lifetime_s,
        claim=request.claim,
    )
    try:
        answer = await inference.ledger.admit(admission)
    except (StoreUnavailable, asyncio.CancelledError):
        # Also when the function is being stopped: a hold that nobody knows of would keep a retry waiting for its end.
        await finish(_take_back(inference, generation_id), deadline_s=2 * VOID_UNANSWERED_S)
        raise
    if isinstance(answer, Refused) and (turned_away := await turn_away(inference.limiter, caller, answer)) is not None:
        raise turned_away
    return answer


async def _take_back(inference: Inference, generation_id: GenerationId) -> None:
    """Void a hold that admission may have placed although its answer did not come.

    policy  never raises: where the store is away the hold lets go by itself at its end
    """
    try:
        async with asyncio.timeout(VOID_UNANSWERED_S):
            await inference.ledger.void_hold(generation_id)
    except (StoreUnavailable, TimeoutError):
        log_event("hold_maybe_left", level="warning", generation_id=format_generation_id(generation_id))


async def _count_late(
    inference: Inference,
    caller: Caller,
    request: MeteredRequest,
    sighting: tuple[GenerationId, LimitsPolicy, KeyUnseen | FailedOpen],
    admitted: Verdict,
) -> Reservation | FailedOpen:
    """Count a request whose policy only admission knew; a refusal here takes the hold back.

    raises  RateLimited
    """
    generation_id, policy, first = sighting
    if caller.is_counted and isinstance(first, FailedOpen):
        return first
    try:
        return await inference.limiter.reserve_late(
            first, policy, key=caller.fingerprints[0], lease_id=generation_id.hex, tokens=request.tokens
        )
    except RateLimited:
        if isinstance(admitted, Refused):
            raise _refusal(inference, request, admitted) from None
        if isinstance(admitted, Replay):
            raise
        await Meter(inference, generation_id, admitted, None, started_s=caller.received_s).void()
        raise


def _refusal(inference: Inference, request: MeteredRequest, refused: Refused) -> GatewayError:
    if refused.code == NoProviderAvailable.code and not inference.has_providers:
        return NotConfigured(
            "This gateway has no model provider yet: its operator sets OPENROUTER_API_KEY or another's."
        )
    return money_refusal_of(refused, request.bounds.output) or refusal_error(refused)
