"""Spans in OpenTelemetry's protocol; its package loads with this module, which only who has a collector does.

source  https://opentelemetry.io/docs/specs/otlp/#otlphttp-request
"""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from shared.core.spans import AttributeValue, Span, SpanKind

_SCOPE = "ai-gateway"
_KINDS: Mapping[SpanKind, trace_pb2.Span.SpanKind.ValueType] = MappingProxyType(
    {
        "server": trace_pb2.Span.SPAN_KIND_SERVER,
        "client": trace_pb2.Span.SPAN_KIND_CLIENT,
        "internal": trace_pb2.Span.SPAN_KIND_INTERNAL,
    }
)


def encode_spans(spans: Iterable[Span], resource: Iterable[tuple[str, str]]) -> bytes:
    """Write spans as the body of one request; resource: who sends them."""
    request = ExportTraceServiceRequest()
    sender = request.resource_spans.add()
    sender.resource.attributes.extend(_attribute(name, value) for name, value in resource)
    scope = sender.scope_spans.add()
    scope.scope.name = _SCOPE
    scope.spans.extend(_write(span) for span in spans)
    body: bytes = request.SerializeToString()
    return body


def _write(span: Span) -> trace_pb2.Span:
    written = trace_pb2.Span(
        trace_id=bytes.fromhex(span.trace_id),
        span_id=bytes.fromhex(span.span_id),
        parent_span_id=bytes.fromhex(span.parent_id or ""),
        trace_state=span.trace_state,
        name=span.name,
        kind=_KINDS[span.kind],
        start_time_unix_nano=span.started_ns,
        end_time_unix_nano=span.ended_ns,
        attributes=[_attribute(name, value) for name, value in span.attributes.items()],
    )
    if span.error is not None:
        written.attributes.append(_attribute("error.type", span.error))
        written.status.code = trace_pb2.Status.STATUS_CODE_ERROR
    return written


def _attribute(name: str, value: AttributeValue) -> KeyValue:
    return KeyValue(key=name, value=_any_value(value))


def _any_value(value: AttributeValue) -> AnyValue:
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
