"""How providers did, for people to see: read from what the instances have told Redis."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Protocol

import msgspec

from shared.clients.redis_failure import RedisUnavailable
from shared.core.clock import ClockMs
from shared.core.ids import ModelId, ProviderSlug
from shared.core.log import log_event
from shared.routing.offer_health import OPEN_MS, Breaker, OfferHealth

# For how long an instance shows what it has read: a crowd asks Redis no more often.
FRESH_MS = 2_000
MAX_KEPT_MODELS = 256


class OpenBreaker(msgspec.Struct, frozen=True):
    """A model that is not asked of a provider; retry_ms: until it is tried again, 0 where that is due."""

    model_id: ModelId
    breaker: Breaker
    retry_ms: int


class ProviderRecord(msgspec.Struct, frozen=True):
    """How a provider answered in the last hour.

    requests: those whose end says something about it; medians: None where there was nothing to measure
    """

    requests: int
    success_rate: float
    median_latency_ms: int | None
    median_tokens_per_second: float | None
    breakers: tuple[OpenBreaker, ...] = ()


class HealthReport(msgspec.Struct, frozen=True):
    """What is known of the providers that were asked in the last hour, and of one model at each of them."""

    now_ms: int
    providers: Mapping[ProviderSlug, ProviderRecord] = {}
    offers: Mapping[ProviderSlug, OfferHealth] = {}


class ScriptRunner(Protocol):
    """One Redis database that runs scripts which name their keys by themselves."""

    async def run_script(self, text: str, arguments: Sequence[str | int]) -> object:
        """Run one; raises RedisUnavailable."""
        ...


class HealthRecords:
    """Reads what the instances share.

    policy  open: without Redis nothing is known of anybody
    """

    def __init__(self, redis: ScriptRunner, providers: Sequence[ProviderSlug], clock_ms: ClockMs) -> None:
        self._redis = redis
        self._providers = tuple(providers)
        self._clock_ms = clock_ms
        self._kept: dict[str, HealthReport] = {}
        folder = resources.files("shared.routing")
        self._script = "\n".join(
            folder.joinpath(part).read_text(encoding="utf-8") for part in ("record.lua", "read.lua")
        )

    async def read(self, model_id: ModelId | None = None) -> HealthReport:
        """Tell how the providers do, and how they do with a model.

        policy  open: never raises for Redis, logs
        """
        now_ms, name = self._clock_ms(), model_id or ""
        kept = self._kept.get(name)
        if kept is not None and 0 <= now_ms - kept.now_ms < FRESH_MS:
            return kept
        try:
            answer = await self._redis.run_script(self._script, (now_ms, name, *self._providers))
            report = self._read(answer, now_ms)
        except (RedisUnavailable, ValueError) as error:
            log_event("provider_health_unreadable", level="warning", reason=str(error))
            return HealthReport(now_ms)
        if len(self._kept) >= MAX_KEPT_MODELS:
            self._kept.clear()
        self._kept[name] = report
        return report

    def _read(self, answer: object, now_ms: int) -> HealthReport:
        counts, opened, offers = msgspec.convert(answer, tuple[list[list[str]], list[str], list[str]], strict=False)
        breakers = [_read_breaker(member, float(score), now_ms) for member, score in _pairs(opened)]
        records = {}
        for slug, fields in zip(self._providers, counts, strict=True):
            record = _read_record(fields, tuple(one for provider, one in breakers if provider == slug))
            if record is not None:
                records[slug] = record
        read_offers = {ProviderSlug(slug): OfferHealth.read(text, now_ms) for slug, text in _pairs(offers)}
        return HealthReport(now_ms, records, read_offers)


def _read_record(fields: Sequence[str], breakers: tuple[OpenBreaker, ...]) -> ProviderRecord | None:
    counts = Counter[str]()
    for field, number in _pairs(fields):
        counts[field] += int(number)
    requests = counts["answered"] + counts["failed"] + counts["limited"]
    if requests == 0:
        return None
    latency, rate = _median(counts, "latency:"), _median(counts, "rate:")
    return ProviderRecord(
        requests=requests,
        success_rate=round(counts["answered"] / requests, 4),
        median_latency_ms=None if latency is None else round(latency),
        median_tokens_per_second=None if rate is None else round(rate, 1),
        breakers=breakers,
    )


def _read_breaker(member: str, open_until_ms: float, now_ms: int) -> tuple[str, OpenBreaker]:
    provider, _, model_id = member.partition(" ")
    retry_ms = min(OPEN_MS, max(0, int(open_until_ms) - now_ms))
    return provider, OpenBreaker(ModelId(model_id), Breaker.OPEN if retry_ms else Breaker.HALF_OPEN, retry_ms)


def _median(counts: Mapping[str, int], prefix: str) -> float | None:
    """Return the median of what report.lua has counted in steps of a fourth of a doubling, within a tenth."""
    steps = sorted((int(field.removeprefix(prefix)), n) for field, n in counts.items() if field.startswith(prefix))
    left = math.ceil(sum(n for _, n in steps) / 2)
    for step, count in steps:
        left -= count
        if left <= 0:
            return float(2.0 ** (step / 4))
    return None


def _pairs(flat: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(flat[::2], flat[1::2], strict=True))
