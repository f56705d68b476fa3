"""A span: one piece of work of a trace, as OpenTelemetry knows it."""

from collections.abc import Mapping
from typing import Literal

import msgspec

AttributeValue = str | bool | int | float
SpanKind = Literal["server", "client", "internal"]


class Span(msgspec.Struct, frozen=True, kw_only=True):
    """Work that has ended; error: what kind of failure it ended with, None for none.

    shape   trace_id: 32 hexadecimal digits; span_id, parent_id: 16, None for the first span of a trace
    units   started_ns, ended_ns: since the epoch
    """

    trace_id: str
    span_id: str
    parent_id: str | None
    trace_state: str
    name: str
    kind: SpanKind
    started_ns: int
    ended_ns: int
    attributes: Mapping[str, AttributeValue]
    error: str | None = None
