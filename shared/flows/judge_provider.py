"""What a call says about the providers that it asked: told to the health that all instances share."""

from shared.flows.call import Call
from shared.ledger.types import Offer
from shared.providers.failure_kinds import FailureKind, ProviderFailure
from shared.routing.health import Turn

# The slowest provider that is worth waiting for: one that takes longer for a whole answer has failed.
SLOWEST_TOKENS_PER_S = 10
SLOWEST_IMAGE_S = 60.0
# Of fewer the rate is that of the moment.
LEAST_MEASURED_TOKENS = 50
# A proxy that cannot reach what is behind it says so sooner; later it has waited for as long as it does, and hangs up.
SURELY_LONG_S = 20.0


async def take_turn(call: Call, offer: Offer) -> bool:
    """Tell whether the provider is asked now: not while its breaker is open, nor while another request probes it."""
    turn = await call.inference.shared_health.take_turn(offer.provider, offer.model_id)
    if turn is Turn.PROBE:
        call.trail.probing = offer
    if turn is not Turn.WAIT and call.request.measures:
        call.inference.health.note_try(offer.provider, offer.model_id)
    return turn is not Turn.WAIT


def give_back_probe(call: Call) -> None:
    """Let another request probe, where this one has found out nothing."""
    offer, call.trail.probing = call.trail.probing, None
    if offer is not None:
        call.inference.health.give_back_probe(offer.provider, offer.model_id)


def note_beginning(call: Call, offer: Offer, *, first_byte_ms: int) -> None:
    """Note an answer's beginning; one in one piece has come to its end by then."""
    health = call.inference.health
    call.trail.probing = None
    if call.request.measures:
        health.record_beginning(offer.provider, offer.model_id, first_byte_ms=first_byte_ms)
    if not call.request.is_stream:
        health.record_answer(offer.provider, offer.model_id, took_ms=first_byte_ms)


def note_end(call: Call, offer: Offer, *, took_ms: int, output_tokens: int, written_s: float | None) -> None:
    """Note a stream that came to its end.

    took_ms: since it was asked for; output_tokens: that it sent; written_s: how long the provider wrote, None where
    that cannot be said
    """
    call.inference.health.record_answer(offer.provider, offer.model_id, took_ms=took_ms)
    if written_s is not None and output_tokens >= LEAST_MEASURED_TOKENS:
        call.inference.health.record_throughput(offer.provider, offer.model_id, tokens=output_tokens, seconds=written_s)


def note_failure(call: Call, offer: Offer, failure: ProviderFailure) -> None:
    """Note a failure; one that is about this request alone says nothing."""
    if not failure.is_provider_at_fault:
        return
    health = call.inference.health
    call.trail.probing = None
    if failure.kind is FailureKind.RATE_LIMITED:
        health.record_limit(offer.provider, offer.model_id, retry_after_s=failure.retry_after_s)
    else:
        health.record_failure(offer.provider, offer.model_id)


def is_only_long(call: Call, offer: Offer, waited_s: float) -> bool:
    """Tell whether an answer that was not there in time may be a long one, whoever waited no longer.

    A stream begins soon, however long it gets: there, and there alone, the limit on silence says enough.
    source  Cloudflare gives up on a healthy origin that writes a long answer in one piece (524, after 100 s):
            github.com/misospace/pr-reviewer-action/issues/23, github.com/CommandCodeAI/command-code/issues/696
    """
    silence_limit_s = call.inference.silence_limit_s
    if call.request.is_stream:
        return waited_s < silence_limit_s
    most = call.request.most_it_took(offer)
    return waited_s < silence_limit_s + most.output_tokens / SLOWEST_TOKENS_PER_S + most.images * SLOWEST_IMAGE_S
