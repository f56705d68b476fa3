"""One provider after the other until one answers: what counts as a failure, and the trail that is kept of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field

from shared.clients.upstream import (
    UpstreamAnswer,
    UpstreamCut,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from shared.core.clock import elapsed_ms
from shared.core.errors import GatewayError
from shared.core.log import log_event
from shared.flows.inference import Inference
from shared.ledger.late import LookUp
from shared.ledger.types import Attempt, Offer
from shared.providers.failures import (
    TIMED_OUT,
    UNREACHABLE,
    FailureKind,
    ProviderFailure,
    classify_status,
    refusal_for,
)
from shared.providers.raw_json import MalformedAnswer
from shared.providers.sse import EventTooLarge
from shared.routing.health import ProviderHealth
from shared.routing.offer_health import Pair

# An error's body is read only to classify it.
ERROR_BODY_TIMEOUT_S = 5.0
# A provider that is asked with less time left is blamed for a timeout that is not its own.
LEAST_ATTEMPT_S = 1.0
# A timer may fire this much before the clock says so.
CLOCK_SLACK_S = 0.05


class TimeLimitReached(GatewayError):
    """The request's own time was over before an answer began."""

    status = 504
    code = "time_limit_reached"
    advice = "The answer took longer than a request may; what arrived of it is charged. Ask for less, or for a stream."
    type = "server_error"

    def __init__(self) -> None:
        super().__init__("No answer came in the time that a request may take. Ask for a shorter one, or for a stream.")


class AnswerTooLarge(GatewayError):
    """The provider made an answer that is larger than is read; it would be as large the next time."""

    status = 502
    code = "answer_too_large"
    advice = (
        "The provider's answer is larger than is passed on; nothing is charged. Ask for fewer images or "
        "smaller ones, fewer inputs, or a shorter answer."
    )
    type = "server_error"

    def __init__(self) -> None:
        super().__init__("The answer is larger than can be passed on. Ask for fewer or smaller parts at once.")


class AttemptFailed(Exception):
    """A provider did not give an answer that can be passed on; status is None where no headers came.

    is_blameless: it says nothing about the provider, but about the time that it had left, or how much we read
    """

    def __init__(self, failure: ProviderFailure, status: int | None, *, is_blameless: bool = False) -> None:
        super().__init__(failure.kind.value)
        self.failure = failure
        self.status = status
        self.is_provider_at_fault = not is_blameless and failure.is_retryable_elsewhere


@dataclass(slots=True)
class Trail:
    """What was tried for one request.

    is_reached: a provider may have seen it, so it cannot be voided any more
    is_out_of_time: the last one was still at it when the request's own time was over, and will send its bill
    is_too_large: the last one's answer was not read to its end, and is on its bill too
    too_small_tokens: a context of so many did not hold it
    lost_cost_nanos: what providers say that they charge for answers of which nothing could be used
    unsaid_offer: the last one that answered so and does not say what it charges
    probes: whom this request alone may try, of those of which it knows nothing yet
    look_up: what the provider that is at it can be asked by afterwards, once its headers have come and where it can be
    units   started_s: when the request came, on the monotonic clock
    """

    started_s: float
    probes: set[Pair] = field(default_factory=set)

    attempts: list[Attempt] = field(default_factory=list)
    is_reached: bool = False
    is_out_of_time: bool = False
    is_too_large: bool = False
    too_small_tokens: int = 0
    lost_cost_nanos: int = 0
    unsaid_offer: Offer | None = None
    last_offer: Offer | None = None
    look_up: LookUp | None = None
    first_byte_ms: int | None = None


async def attempt_in_turn[T](
    inference: Inference,
    offers: Sequence[Offer],
    call: Callable[[Offer], Awaitable[T]],
    trail: Trail,
    *,
    deadline_s: float,
) -> T:
    """Call the offers' providers in turn and return the first answer.

    units   deadline_s: on the monotonic clock
    raises  TimeLimitReached; AnswerTooLarge; the refusal that the last failure means for the client, or the first that
            is the client's own fault
    policy  what is too long for one provider is tried where more fits
    """
    try:
        return await _first_answer(inference, offers, call, trail, deadline_s=deadline_s)
    finally:
        # Another's answer came first, or one that says nothing about the provider.
        for pair in trail.probes:
            inference.health.give_back_probe(*pair)


async def _first_answer[T](
    inference: Inference,
    offers: Sequence[Offer],
    call: Callable[[Offer], Awaitable[T]],
    trail: Trail,
    *,
    deadline_s: float,
) -> T:
    refusal: GatewayError = refusal_for(UNREACHABLE)
    for offer in _where_it_may_fit(offers, trail):
        started_s = time.monotonic()
        if trail.attempts and deadline_s - started_s < LEAST_ATTEMPT_S:
            break
        trail.last_offer, trail.look_up = offer, None
        try:
            answer = await call(offer)
        except UpstreamUnreachable as error:
            failed = AttemptFailed(UNREACHABLE, None)
            _note_failure(inference, offer, (str(error), started_s), failed, trail)
        except UpstreamTimeout as error:
            trail.is_reached = True
            # A short time of our own says nothing about a provider that may be silent for longer.
            trail.is_out_of_time = time.monotonic() >= deadline_s - CLOCK_SLACK_S
            is_blameless = trail.is_out_of_time and time.monotonic() - started_s < inference.silence_limit_s
            failed = AttemptFailed(TIMED_OUT, None, is_blameless=is_blameless)
            _note_failure(inference, offer, (type(error).__name__, started_s), failed, trail)
            if trail.is_out_of_time:
                raise TimeLimitReached from error
        except UpstreamTooLarge as error:
            trail.is_reached = trail.is_too_large = True
            failed = AttemptFailed(UNREACHABLE, 200, is_blameless=True)
            _note_failure(inference, offer, (type(error).__name__, started_s), failed, trail)
            raise AnswerTooLarge from error
        except (UpstreamCut, MalformedAnswer, EventTooLarge) as error:
            trail.is_reached = True
            failed = AttemptFailed(UNREACHABLE, None)
            _note_failure(inference, offer, (type(error).__name__, started_s), failed, trail)
        except AttemptFailed as error:
            trail.is_reached = True
            failed = error
            _note_failure(inference, offer, (error.failure.kind.value, started_s), failed, trail)
        except asyncio.CancelledError:
            # The function is being stopped: nobody knows what the provider has seen.
            trail.is_reached = True
            raise
        else:
            _note_answer(inference, offer, started_s, trail)
            return answer
        refusal = refusal_for(failed.failure)
        if not _is_worth_another(failed.failure, offer, trail):
            break
    raise refusal


async def check_status(answer: UpstreamAnswer) -> None:
    """Let a 200 pass.

    raises  AttemptFailed for any other status, with what its body says about the cause
    """
    if answer.status == 200:
        return
    try:
        body = await answer.read_all(ERROR_BODY_TIMEOUT_S)
    except (UpstreamTimeout, UpstreamCut):
        body = b""
    finally:
        answer.close()
    raise AttemptFailed(classify_status(answer.status, answer.headers, body), answer.status)


def _where_it_may_fit(offers: Sequence[Offer], trail: Trail) -> Iterator[Offer]:
    for offer in offers:
        if offer.context_length > trail.too_small_tokens:
            yield offer


def _is_worth_another(failure: ProviderFailure, offer: Offer, trail: Trail) -> bool:
    if failure.kind is FailureKind.CONTEXT_LENGTH:
        trail.too_small_tokens = offer.context_length
        return True
    return failure.is_retryable_elsewhere


def _note_answer(inference: Inference, offer: Offer, started_s: float, trail: Trail) -> None:
    trail.is_reached = True
    trail.first_byte_ms = elapsed_ms(started_s)
    trail.probes.discard((offer.provider, offer.model_id))
    inference.health.record_success(offer.provider, offer.model_id, first_byte_ms=trail.first_byte_ms)
    trail.attempts.append(
        Attempt(
            provider=offer.provider,
            model_id=offer.model_id,
            status=200,
            is_success=True,
            is_request_at_fault=False,
            reason="answered",
            first_byte_ms=trail.first_byte_ms,
            started_ms=_after_ms(trail, started_s),
        )
    )


def _note_failure(
    inference: Inference, offer: Offer, cause: tuple[str, float], failed: AttemptFailed, trail: Trail
) -> None:
    reason, started_s = cause
    if failed.is_provider_at_fault:
        trail.probes.discard((offer.provider, offer.model_id))
        _record_failure(inference.health, offer, failed.failure)
    trail.attempts.append(
        Attempt(
            provider=offer.provider,
            model_id=offer.model_id,
            status=failed.status,
            is_success=False,
            is_request_at_fault=not failed.is_provider_at_fault,
            reason=reason,
            first_byte_ms=elapsed_ms(started_s),
            started_ms=_after_ms(trail, started_s),
        )
    )
    log_event(
        "attempt_failed",
        level="warning",
        provider=offer.provider,
        model_id=offer.model_id,
        status=failed.status,
        reason=reason,
        duration_ms=elapsed_ms(started_s),
    )


def _record_failure(health: ProviderHealth, offer: Offer, failure: ProviderFailure) -> None:
    if failure.kind is FailureKind.RATE_LIMITED:
        health.record_limit(offer.provider, offer.model_id, retry_after_s=failure.retry_after_s)
    else:
        health.record_failure(offer.provider, offer.model_id)


def _after_ms(trail: Trail, moment_s: float) -> int:
    return int((moment_s - trail.started_s) * 1000)
