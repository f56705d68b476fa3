"""What is told of a call that has ended: one log line, with metrics on AWS, and spans where somebody collects them."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from shared.core.clock import wall_clock_ms
from shared.core.ids import format_generation_id
from shared.core.log import Field, log_event
from shared.flows.call import Call
from shared.flows.call_spans import OPERATIONS, describe_call
from shared.ledger.types import Outcome, Settlement, Usage


@asynccontextmanager
async def traced_meanwhile(call: Call, usage: Usage) -> AsyncIterator[None]:
    """Send the call's spans while it is settled: after that its function may be frozen.

    policy  open: a collector that is slow or away is waited for no longer than Collector.send does
    """
    collector = call.inference.collector
    if collector is None or not call.trace.is_recorded:
        yield
        return
    sending = asyncio.ensure_future(collector.send(describe_call(call, usage)))
    try:
        yield
    finally:
        settled_s = time.monotonic()
        await sending
        collector.note_waited(time.monotonic() - settled_s)


def log_call(call: Call, usage: Usage, settlement: Settlement | None) -> None:
    """Write the call's line; settlement: None where it is not charged now, or never."""
    offer = call.trail.last_offer
    fields: dict[str, Field] = {
        "generation_id": format_generation_id(call.meter.generation_id),
        "operation": OPERATIONS[call.request.bounds.output],
        "provider": None if offer is None else offer.provider,
        "model_id": None if offer is None else offer.model_id,
        "outcome": usage.outcome.value,
        "broken_off": call.trail.broken_off,
        "usage_source": usage.source.value,
        "is_stream": usage.is_stream,
        "attempts": len(usage.attempts),
        "input_tokens": usage.quantities.tokens - usage.quantities.output_tokens,
        "output_tokens": usage.quantities.output_tokens,
        "images": usage.quantities.images,
        "first_byte_ms": usage.first_byte_ms,
        "duration_ms": usage.duration_ms,
        **money_fields(settlement),
    }
    # A client that leaves is no failure of anybody's, nor one whose credit is used up.
    is_interrupted = usage.outcome is Outcome.INTERRUPTED and not call.trail.is_client_at_fault
    is_failed = usage.outcome is Outcome.FAILED or is_interrupted
    measured = call.inference.metrics.of_call(fields, is_failed=is_failed, at_ms=wall_clock_ms())
    log_event("call_ended", level="info", **measured)


def money_fields(settlement: Settlement | None) -> dict[str, Field]:
    """Return what a settlement came to, nothing where there is none."""
    if settlement is None:
        return {}
    return {
        "cost_nanos": settlement.cost_nanos,
        "charged_nanos": settlement.charged_nanos,
        "provider_cost_nanos": settlement.provider_cost_nanos,
        "shortfall_nanos": settlement.shortfall_nanos,
    }
