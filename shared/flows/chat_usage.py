"""What a chat request used: as the provider reports it, or as we count it where that is missing or cannot be."""

import time

import msgspec

from shared.core.log import log_event
from shared.core.money import Nanos, ceil_div
from shared.flows.chat_request import BYTES_PER_COUNTED_TOKEN, Chat, counted_input_tokens
from shared.flows.settle_call import Charged
from shared.ledger.types import Offer, Quantities, UsageSource
from shared.providers.dialect import Used
from shared.providers.raw_json import MalformedAnswer
from shared.providers.usage import (
    ImplausibleUsage,
    UsageReport,
    encode_usage,
    read_reported_cost,
    read_usage,
    show_usage,
)


class ResolvedUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What is charged, as a report, and the `usage` object to show where the provider's own cannot be shown."""

    charged: Charged
    report: UsageReport
    shown: bytes

    def told(self) -> Used:
        """Return it as it is told in the answer, which ends now."""
        return Used(report=self.report, shown=self.shown, ended_at_s=int(time.time()))


def resolve_usage(chat: Chat, offer: Offer, raw_usage: bytes | None, output_bytes: int) -> ResolvedUsage:
    """Return what is to be charged for an answer, or the part of one, of `output_bytes` bytes of text.

    policy  a report that cannot be is not believed: it is logged, and the answer is counted instead
    """
    reports_cost = chat.call.provider_of(offer).record.reports_cost
    cost = read_reported_cost(raw_usage) if reports_cost else None
    bounds = chat.usage_bounds(offer)
    try:
        report = read_usage(raw_usage, bounds=bounds)
        if report is not None and raw_usage is not None:
            return _resolved(chat, report, UsageSource.PROVIDER, cost, show_usage(raw_usage, report))
    except (ImplausibleUsage, MalformedAnswer) as implausible:
        log_event("usage_implausible", level="error", provider=offer.provider, reason=str(implausible))
    report = UsageReport(
        input_tokens=counted_input_tokens(chat.counts, offer),
        cached_input_tokens=0,
        cache_write_tokens=0,
        output_tokens=min(counted_output_tokens(output_bytes), bounds.max_output_tokens_total),
        reasoning_tokens=0,
    )
    return _resolved(chat, report, UsageSource.COUNTED, cost, encode_usage(report))


def counted_output_tokens(output_bytes: int) -> int:
    """Estimate an answer from the bytes of its text."""
    return ceil_div(output_bytes, BYTES_PER_COUNTED_TOKEN)


def _resolved(chat: Chat, report: UsageReport, source: UsageSource, cost: Nanos | None, shown: bytes) -> ResolvedUsage:
    return ResolvedUsage(
        charged=Charged(
            quantities=Quantities(
                input_tokens=report.input_tokens,
                cached_input_tokens=report.cached_input_tokens,
                cache_write_tokens=report.cache_write_tokens,
                output_tokens=report.output_tokens,
                images=chat.counts.image_count,
            ),
            source=source,
            reasoning_tokens=report.reasoning_tokens,
            reported_cost_nanos=cost,
        ),
        report=report,
        shown=shown,
    )
