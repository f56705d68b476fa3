"""A call's own place in a trace: which spans it makes, if any, and what its providers are sent of it."""

import hashlib

import msgspec

from shared.core.ids import GenerationId
from shared.core.trace import TraceContext

_SPAN_ID_BYTES = 8


class CallTrace(msgspec.Struct, frozen=True, kw_only=True):
    """The trace that a call belongs to. Its spans' ids follow from its own, so that nobody has to hand them on.

    client: the place that its client named, None where it named none; is_recorded: a collector gets its spans
    """

    generation_id: GenerationId
    client: TraceContext | None
    is_recorded: bool

    @classmethod
    def begin(cls, generation_id: GenerationId, client: TraceContext | None, *, has_collector: bool) -> "CallTrace":
        """Record where somebody collects, and the client, if it traces, records as well."""
        is_recorded = has_collector and (client is None or client.is_sampled)
        return cls(generation_id=generation_id, client=client, is_recorded=is_recorded)

    @property
    def trace_id(self) -> str:
        """The client's, or one of our own."""
        return self.generation_id.hex if self.client is None else self.client.trace_id

    @property
    def parent_id(self) -> str | None:
        """The client's span, above all of ours."""
        return None if self.client is None else self.client.parent_id

    @property
    def state(self) -> str:
        """What tracing systems have added on the way."""
        return "" if self.client is None else self.client.state

    def span_id(self, place: int) -> str:
        """Return the id of one of the call's spans: 0 is the request's, the next are its attempts' in their order."""
        named = self.generation_id.bytes + place.to_bytes(4)
        return hashlib.blake2b(named, digest_size=_SPAN_ID_BYTES).hexdigest()

    def headers_of_attempt(self, place: int) -> dict[str, str]:
        """Return what a provider is sent: our span for it, or the client's own place where we record none."""
        if not self.is_recorded:
            return {} if self.client is None else self.client.to_headers()
        ours = TraceContext(trace_id=self.trace_id, parent_id=self.span_id(place), is_sampled=True, state=self.state)
        return ours.to_headers()
