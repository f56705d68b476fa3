"""An OpenTelemetry collector on loopback: reads what it is sent as the protocol's own messages, and fails on demand."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1 import trace_pb2

from tests.harness.threaded_proxy import ThreadedProxy

CLIENT = trace_pb2.Span.SPAN_KIND_CLIENT
SERVER = trace_pb2.Span.SPAN_KIND_SERVER
INTERNAL = trace_pb2.Span.SPAN_KIND_INTERNAL
ERROR = trace_pb2.Status.STATUS_CODE_ERROR


@dataclass(frozen=True, slots=True)
class Received:
    """One request to the collector."""

    path: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)

    @property
    def message(self) -> ExportTraceServiceRequest:
        """What it says."""
        message = ExportTraceServiceRequest()
        message.ParseFromString(self.body)
        return message

    @property
    def spans(self) -> list[trace_pb2.Span]:
        """Every span in it."""
        groups = self.message.resource_spans
        return [span for group in groups for scope in group.scope_spans for span in scope.spans]

    @property
    def resource(self) -> dict[str, Any]:
        """Who has sent it."""
        return read_attributes(self.message.resource_spans[0].resource.attributes)


class CollectorDouble(ThreadedProxy):
    """Takes spans; status and delay_s say how it fails."""

    def __init__(self) -> None:
        super().__init__("collector")
        self.received: list[Received] = []
        self.status = 200
        self.delay_s = 0.0

    async def answer(self, request: web.BaseRequest, session: aiohttp.ClientSession) -> web.StreamResponse:
        """Note what came, and answer as a collector does."""
        self.received.append(Received(request.path, dict(request.headers), await request.read()))
        await asyncio.sleep(self.delay_s)
        answer = ExportTraceServiceResponse().SerializeToString()
        return web.Response(status=self.status, body=answer, content_type="application/x-protobuf")

    def of_trace(self, trace_id: str) -> list[trace_pb2.Span]:
        """Return the spans of one trace, in the order in which they came."""
        spans = [span for received in list(self.received) for span in received.spans]
        return [span for span in spans if span.trace_id.hex() == trace_id]


def read_attributes(attributes: "list[KeyValue] | Any") -> dict[str, Any]:
    """Return the attributes by name."""
    return {each.key: getattr(each.value, str(each.value.WhichOneof("value"))) for each in attributes}
