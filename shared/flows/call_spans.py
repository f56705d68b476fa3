"""A call as spans: the request's own, and below it one for each provider that was asked.

Their attributes are those of OpenTelemetry's conventions for generative AI, and ours under `gateway.`; none holds a
word of a prompt or of an answer.

source  https://github.com/open-telemetry/semantic-conventions-genai/blob/main/docs/gen-ai/client-inference.md
"""

import time
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlsplit

from shared.core.ids import format_generation_id
from shared.core.log import request_id_in_context
from shared.core.spans import AttributeValue, Span
from shared.flows.call import Call
from shared.ledger.types import Attempt, Output, Usage, UsageSource
from shared.providers.simulated import SIMULATED

OPERATIONS: Mapping[Output, str] = MappingProxyType(
    {"text": "chat", "embeddings": "embeddings", "image": "generate_content"}
)
_DEFAULT_PORTS: Mapping[str, int] = MappingProxyType({"https": 443, "http": 80})
_NS_PER_MS = 1_000_000
_NS_PER_S = 1_000_000_000

Attributes = dict[str, AttributeValue | None]


def describe_call(call: Call, usage: Usage) -> tuple[Span, ...]:
    """Return the spans of a call that ends now."""
    ended_ns = time.time_ns()
    started_ns = ended_ns - int((time.monotonic() - call.meter.started_s) * _NS_PER_S)
    attempts = [
        _attempt_span(call, usage, place, attempt, (started_ns, ended_ns))
        for place, attempt in enumerate(usage.attempts, start=1)
    ]
    return (_request_span(call, usage, (started_ns, ended_ns)), *attempts)


def _request_span(call: Call, usage: Usage, lasted_ns: tuple[int, int]) -> Span:
    last = usage.attempts[-1] if usage.attempts else None
    return Span(
        trace_id=call.trace.trace_id,
        span_id=call.trace.span_id(0),
        parent_id=call.trace.parent_id,
        trace_state=call.trace.state,
        name=f"gateway {OPERATIONS[call.request.bounds.output]}",
        kind="server",
        started_ns=lasted_ns[0],
        ended_ns=lasted_ns[1],
        attributes=_present(
            {
                "gateway.request.id": request_id_in_context.get(),
                "gateway.generation.id": format_generation_id(call.meter.generation_id),
                "gateway.request.model": call.request.models[0],
                "gateway.outcome": usage.outcome.value,
                "gateway.usage.source": usage.source.value,
            }
        ),
        error=_error(call) if last is None or last.is_success else last.reason,
    )


def _error(call: Call) -> str | None:
    return None if call.trail.is_client_at_fault else call.trail.broken_off


def _attempt_span(call: Call, usage: Usage, place: int, attempt: Attempt, lasted_ns: tuple[int, int]) -> Span:
    operation = OPERATIONS[call.request.bounds.output]
    started_ns = lasted_ns[0] + attempt.started_ms * _NS_PER_MS
    failed_ns = started_ns + attempt.first_byte_ms * _NS_PER_MS
    model = _upstream_model(call, attempt)
    is_ours = attempt.provider == SIMULATED.slug
    return Span(
        trace_id=call.trace.trace_id,
        span_id=call.trace.span_id(place),
        parent_id=call.trace.span_id(0),
        trace_state=call.trace.state,
        name=f"{operation} {model}",
        kind="internal" if is_ours else "client",
        started_ns=started_ns,
        ended_ns=lasted_ns[1] if attempt.is_success else failed_ns,
        attributes=_present(
            {
                "gen_ai.operation.name": operation,
                "gen_ai.provider.name": attempt.provider,
                "gen_ai.request.model": model,
                **_asked(call),
                **({} if is_ours else _server(call.inference.providers[attempt.provider].base_url)),
                "http.response.status_code": attempt.status,
                **(_answered(call, usage, attempt) if attempt.is_success else {}),
            }
        ),
        error=call.trail.provider_failure if attempt.is_success else attempt.reason,
    )


def _upstream_model(call: Call, attempt: Attempt) -> str:
    asked = (attempt.provider, attempt.model_id)
    return next(offer.upstream_model for offer in call.offers if (offer.provider, offer.model_id) == asked)


def _asked(call: Call) -> Attributes:
    request, facts = call.request, call.request.facts
    return {
        "gen_ai.output.type": "image" if request.bounds.output == "image" else None,
        "gen_ai.request.stream": True if request.is_stream else None,
        "gen_ai.request.choice.count": None if facts.choices == 1 else facts.choices,
        "gen_ai.request.max_tokens": facts.max_output_tokens,
    }


def _server(base_url: str) -> Attributes:
    address = urlsplit(base_url)
    return {"server.address": address.hostname, "server.port": address.port or _DEFAULT_PORTS.get(address.scheme)}


def _answered(call: Call, usage: Usage, attempt: Attempt) -> Attributes:
    return {
        "gen_ai.response.id": usage.upstream_id,
        "gen_ai.response.time_to_first_chunk": attempt.first_byte_ms / 1000 if call.request.is_stream else None,
        **({} if usage.source is UsageSource.NONE else _used(usage, call.request.bounds.output)),
    }


def _used(usage: Usage, output: Output) -> Attributes:
    used = usage.quantities
    if output == "image":
        # Counted, and paid, by the image.
        return {}
    return {
        # With those that were read from a cache or written to one.
        "gen_ai.usage.input_tokens": used.tokens - used.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": used.cached_input_tokens or None,
        "gen_ai.usage.cache_write.input_tokens": used.cache_write_tokens or None,
        "gen_ai.usage.output_tokens": used.output_tokens if output == "text" else None,
        "gen_ai.usage.reasoning.output_tokens": usage.reasoning_tokens or None,
    }


def _present(attributes: Attributes) -> dict[str, AttributeValue]:
    return {name: value for name, value in attributes.items() if value is not None}
