"""A request's place in its client's trace, as W3C's Trace Context says it."""

import re
from collections.abc import Sequence
from contextvars import ContextVar

import msgspec

# source: https://www.w3.org/TR/trace-context/#traceparent-header
_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.ASCII)
_FORBIDDEN_VERSION = "ff"
_FIRST_VERSION = "00"
_SAMPLED = 1
# What the specification asks everybody to pass on; a longer one is somebody's mistake.
# source: https://www.w3.org/TR/trace-context/#tracestate-limits
MAX_TRACESTATE_LENGTH = 512
_TRACESTATE = re.compile(r"[\x20-\x7e]+", re.ASCII)


class TraceContext(msgspec.Struct, frozen=True, kw_only=True):
    """Which trace a request belongs to, under which span of its client's; state: what tracing systems add, "" for none.

    is_sampled: whoever began the trace records it
    """

    trace_id: str
    parent_id: str
    is_sampled: bool
    state: str = ""

    def to_headers(self) -> dict[str, str]:
        """Return what the next service is sent, whose work is a part of the span that parent_id names."""
        flags = _SAMPLED if self.is_sampled else 0
        told = {"traceparent": f"{_FIRST_VERSION}-{self.trace_id}-{self.parent_id}-{flags:02x}"}
        return {**told, "tracestate": self.state} if self.state else told


trace_in_context: ContextVar[TraceContext | None] = ContextVar("trace", default=None)


def read_trace(traceparent: Sequence[str], tracestate: Sequence[str]) -> TraceContext | None:
    """Read the two headers, each as often as it came; None for a request without a place, or with one that is none."""
    found = _TRACEPARENT.fullmatch(traceparent[0].strip(" \t")) if len(traceparent) == 1 else None
    if found is None:
        return None
    version, trace_id, parent_id, flags, more = found.groups()
    is_of_first = version == _FIRST_VERSION
    if version == _FORBIDDEN_VERSION or (is_of_first and more) or not (int(trace_id, 16) and int(parent_id, 16)):
        return None
    return TraceContext(
        trace_id=trace_id,
        parent_id=parent_id,
        is_sampled=bool(int(flags, 16) & _SAMPLED),
        state=_read_state(tracestate),
    )


def _read_state(tracestate: Sequence[str]) -> str:
    state = ",".join(part.strip(" \t") for part in tracestate)
    return state if len(state) <= MAX_TRACESTATE_LENGTH and _TRACESTATE.fullmatch(state) else ""
