"""What was tried for one request: the attempts that are kept, and what the settlement needs to know of them."""

from dataclasses import dataclass, field

from shared.core.clock import elapsed_ms
from shared.core.log import log_event
from shared.ledger.late import LookUp
from shared.ledger.types import Attempt, Offer


@dataclass(slots=True)
class Trail:
    """What was tried for one request.

    is_reached: a provider may have seen it, so it cannot be voided any more
    is_out_of_time: the last one was still at it when the request's own time was over, and will send its bill
    is_too_large: the last one's answer was not read to its end, and is on its bill too
    is_heard: the last one has sent something, if only that it is at it
    too_small_tokens: a context of so many did not hold it
    lost_cost_nanos: what providers say that they charge for answers of which nothing could be used
    unsaid_offer: the last one that answered so and does not say what it charges
    probing: the offer by which this request alone tries a provider, until that is said to have failed or not
    look_up: what the provider that is at it can be asked by afterwards, once its headers have come and where it can be
    broken_off: why an answer ended in the middle, as its client is told; provider_failure: where that was the provider
    is_client_at_fault: where it ended for what its client has: his credit, say, was used up
    units   started_s: when the request came, on the monotonic clock
    """

    started_s: float

    attempts: list[Attempt] = field(default_factory=list)
    is_reached: bool = False
    is_out_of_time: bool = False
    is_too_large: bool = False
    is_heard: bool = False
    too_small_tokens: int = 0
    lost_cost_nanos: int = 0
    unsaid_offer: Offer | None = None
    last_offer: Offer | None = None
    probing: Offer | None = None
    look_up: LookUp | None = None
    first_byte_ms: int | None = None
    broken_off: str | None = None
    provider_failure: str | None = None
    is_client_at_fault: bool = False

    def begin(self, offer: Offer) -> None:
        """Note that a provider is asked."""
        self.last_offer, self.look_up, self.is_heard = offer, None, False

    def note_answer(self, offer: Offer, started_s: float) -> int:
        """Note an answer that has begun; return after how many milliseconds."""
        self.is_reached = True
        self.first_byte_ms = elapsed_ms(started_s)
        self.attempts.append(
            Attempt(
                provider=offer.provider,
                model_id=offer.model_id,
                status=200,
                is_success=True,
                is_request_at_fault=False,
                reason="answered",
                first_byte_ms=self.first_byte_ms,
                started_ms=self._after_ms(started_s),
            )
        )
        return self.first_byte_ms

    def note_failure(
        self, offer: Offer, started_s: float, *, status: int | None, is_provider_at_fault: bool, reason: str
    ) -> None:
        """Note one that failed before there was an answer."""
        duration_ms = elapsed_ms(started_s)
        self.attempts.append(
            Attempt(
                provider=offer.provider,
                model_id=offer.model_id,
                status=status,
                is_success=False,
                is_request_at_fault=not is_provider_at_fault,
                reason=reason,
                first_byte_ms=duration_ms,
                started_ms=self._after_ms(started_s),
            )
        )
        log_event(
            "attempt_failed",
            level="warning",
            provider=offer.provider,
            model_id=offer.model_id,
            status=status,
            reason=reason,
            duration_ms=duration_ms,
        )

    def _after_ms(self, moment_s: float) -> int:
        return int((moment_s - self.started_s) * 1000)
