"""What an answer used, asked of its provider afterwards: after a hang-up, a crash, a settlement that was lost."""

from urllib.parse import quote

import msgspec

from shared.clients.upstream import Upstream, UpstreamCut, UpstreamTimeout, UpstreamUnreachable
from shared.core.log import log_event
from shared.flows.inference import ConfiguredProvider
from shared.ledger.late import LookUp
from shared.ledger.types import Quantities, Usage, UsageSource
from shared.providers.generation import GenerationReport, read_generation
from shared.providers.raw_json import MalformedAnswer
from shared.providers.usage import ImplausibleUsage, UsageBounds


class LookedUp(msgspec.Struct, frozen=True):
    """What the provider's record of an answer says."""

    report: GenerationReport

    def applied_to(self, usage: Usage) -> Usage:
        """Return the usage with the provider's quantities and cost in place of what we counted."""
        counted = self.report.usage
        return msgspec.structs.replace(
            usage,
            quantities=Quantities(
                input_tokens=counted.input_tokens,
                cached_input_tokens=counted.cached_input_tokens,
                cache_write_tokens=counted.cache_write_tokens,
                output_tokens=counted.output_tokens,
                images=usage.quantities.images,
            ),
            source=UsageSource.LOOKUP,
            reasoning_tokens=counted.reasoning_tokens,
            reported_cost_nanos=self.report.reported_cost_nanos,
        )


async def look_up_usage(
    upstream: Upstream, provider: ConfiguredProvider, look_up: LookUp, *, timeout_s: float
) -> LookedUp | None:
    """Ask the provider once what an answer used; None when its record is not there, or not yet.

    policy  open: never raises for the provider; an answer that is no record is logged and counts as none
    """
    if provider.record.generation_path is None:
        return None
    url = f"{provider.base_url}{provider.record.generation_path}?id={quote(look_up.upstream_id, safe='')}"
    try:
        status, body = await upstream.get(url, provider.record.authorise(provider.api_key), timeout_s=timeout_s)
    except (UpstreamUnreachable, UpstreamTimeout, UpstreamCut) as error:
        _log_failure(look_up, reason=type(error).__name__)
        return None
    if status == 404:
        return None
    if status != 200:
        _log_failure(look_up, reason="status", status=status)
        return None
    bounds = UsageBounds(
        max_input_tokens=look_up.max_input_tokens, max_output_tokens_total=look_up.max_output_tokens_total
    )
    try:
        report = read_generation(body, bounds=bounds)
    except (MalformedAnswer, ImplausibleUsage) as error:
        _log_failure(look_up, reason=str(error), is_fault=True)
        return None
    return None if report is None else LookedUp(report)


def _log_failure(look_up: LookUp, *, reason: str, status: int | None = None, is_fault: bool = False) -> None:
    log_event(
        "look_up_failed",
        level="error" if is_fault else "warning",
        provider=look_up.provider,
        upstream_id=look_up.upstream_id,
        status=status,
        reason=reason,
    )
