"""One provider after the other until one answers: what counts as a failure, and who is asked next."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence

from shared.clients.upstream import (
    UpstreamAnswer,
    UpstreamCut,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamUnreachable,
)
from shared.core.errors import GatewayError
from shared.flows.call import Call, providers_failing
from shared.flows.judge_provider import (
    SURELY_LONG_S,
    give_back_probe,
    is_only_long,
    note_beginning,
    note_failure,
    take_turn,
)
from shared.flows.trail import Trail
from shared.ledger.types import Offer
from shared.providers.failure_kinds import FailureKind, ProviderFailure
from shared.providers.failures import TIMED_OUT, UNREACHABLE, classify_status, refusal_for
from shared.providers.raw_json import MalformedAnswer
from shared.providers.sse import EventTooLarge

# Four providers that fail in a row are an outage of ours or of the model; a fifth would only lengthen the wait.
MAX_ATTEMPTS = 4
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

    is_blameless: it says nothing about the provider, but about the time that it had left, how much we read, or what can
    be said to this client
    """

    def __init__(self, failure: ProviderFailure, status: int | None, *, is_blameless: bool = False) -> None:
        super().__init__(failure.kind.value)
        self.failure = failure
        self.status = status
        self.is_provider_at_fault = not is_blameless and failure.is_provider_at_fault


async def attempt_in_turn[T](call: Call, ask: Callable[[Offer], Awaitable[T]]) -> T:
    """Ask the call's providers in turn and return the first answer.

    raises  TimeLimitReached; AnswerTooLarge; ProvidersFailing where nobody may be asked; the refusal that the last
            failure means for the client, or the first that is the client's own fault
    policy  what is too long for one provider is tried where more fits
    """
    try:
        return await _first_answer(call, ask)
    finally:
        give_back_probe(call)


async def _first_answer[T](call: Call, ask: Callable[[Offer], Awaitable[T]]) -> T:
    trail, refusal = call.trail, None
    for offer in _where_it_may_fit(call.offers, trail):
        is_late = call.deadline_s - time.monotonic() < LEAST_ATTEMPT_S
        if trail.attempts and (is_late or len(trail.attempts) == MAX_ATTEMPTS):
            break
        if not await take_turn(call, offer):
            continue
        started_s = time.monotonic()
        trail.begin(offer)
        try:
            answer = await ask(offer)
        except UpstreamUnreachable as error:
            failed = AttemptFailed(UNREACHABLE, None)
            _note_failure(call, offer, (str(error), started_s), failed)
        except UpstreamTimeout as error:
            trail.is_reached = True
            failed = AttemptFailed(TIMED_OUT, None, is_blameless=_is_cut_short(call, offer, started_s))
            _note_failure(call, offer, (type(error).__name__, started_s), failed)
            if trail.is_out_of_time:
                raise TimeLimitReached from error
        except UpstreamTooLarge as error:
            trail.is_reached = trail.is_too_large = True
            failed = AttemptFailed(UNREACHABLE, 200, is_blameless=True)
            _note_failure(call, offer, (type(error).__name__, started_s), failed)
            raise AnswerTooLarge from error
        except (UpstreamCut, MalformedAnswer, EventTooLarge) as error:
            trail.is_reached = True
            is_hung_up = isinstance(error, UpstreamCut) and _may_be_long(call, offer, started_s)
            is_blameless = is_hung_up or isinstance(error, EventTooLarge)
            failed = AttemptFailed(UNREACHABLE, None, is_blameless=is_blameless)
            _note_failure(call, offer, (type(error).__name__, started_s), failed)
        except AttemptFailed as error:
            trail.is_reached = True
            failed = _without_blame_for_length(call, offer, error, started_s)
            _note_failure(call, offer, (error.failure.kind.value, started_s), failed)
        except asyncio.CancelledError:
            # The function is being stopped: nobody knows what the provider has seen.
            trail.is_reached = True
            raise
        else:
            note_beginning(call, offer, first_byte_ms=trail.note_answer(offer, started_s))
            return answer
        # One that says nothing about the provider leaves the probe to others, while this request goes on.
        give_back_probe(call)
        refusal = refusal_for(failed.failure)
        if not _is_worth_another(failed.failure, offer, trail):
            break
    raise refusal or providers_failing(call.inference, call.offers)


async def check_status(answer: UpstreamAnswer, offer: Offer) -> None:
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
    failure = classify_status(answer.status, answer.headers, body, offer.upstream_model)
    raise AttemptFailed(failure, answer.status)


def _where_it_may_fit(offers: Sequence[Offer], trail: Trail) -> Iterator[Offer]:
    for offer in offers:
        if offer.context_length > trail.too_small_tokens:
            yield offer


def _is_worth_another(failure: ProviderFailure, offer: Offer, trail: Trail) -> bool:
    if failure.kind is FailureKind.CONTEXT_LENGTH:
        trail.too_small_tokens = offer.context_length
        return True
    return failure.is_retryable_elsewhere


def _note_failure(call: Call, offer: Offer, cause: tuple[str, float], failed: AttemptFailed) -> None:
    reason, started_s = cause
    is_provider_at_fault = failed.is_provider_at_fault
    if is_provider_at_fault:
        note_failure(call, offer, failed.failure)
    call.trail.note_failure(
        offer, started_s, status=failed.status, is_provider_at_fault=is_provider_at_fault, reason=reason
    )


def _is_cut_short(call: Call, offer: Offer, started_s: float) -> bool:
    """Tell whether it was our own time that was over, which says nothing about a provider that is at it."""
    trail, now_s = call.trail, time.monotonic()
    trail.is_out_of_time = now_s >= call.deadline_s - CLOCK_SLACK_S
    is_at_it = call.request.is_stream and trail.is_heard
    return trail.is_out_of_time and (is_at_it or is_only_long(call, offer, now_s - started_s))


def _without_blame_for_length(call: Call, offer: Offer, error: AttemptFailed, started_s: float) -> AttemptFailed:
    """Return a provider's own timeout as one that says nothing, where the answer may only have been long."""
    if error.failure.kind is FailureKind.TIMEOUT and _may_be_long(call, offer, started_s):
        return AttemptFailed(error.failure, error.status, is_blameless=True)
    return error


def _may_be_long(call: Call, offer: Offer, started_s: float) -> bool:
    """Tell whether a proxy on the way may have waited no longer for an answer in one piece."""
    waited_s = time.monotonic() - started_s
    return not call.request.is_stream and waited_s >= SURELY_LONG_S and is_only_long(call, offer, waited_s)
