"""What admins are shown of what goes on: money as exact decimal strings in US dollars, times in milliseconds."""

from collections.abc import Mapping
from math import ceil
from typing import Any, Literal

import msgspec

from functions.admin.state_views import SwitchesView, switches_view
from shared.core.ids import ProviderSlug
from shared.core.money import Nanos, format_dollars
from shared.flows.read_monitor import LimiterHealth, Monitored
from shared.operations.state_types import (
    CreditCharged,
    Percentiles,
    ProviderTraffic,
    StandingNow,
    Traffic,
)
from shared.routing.offer_health import Breaker
from shared.routing.records import OpenBreaker, ProviderRecord


class TimesView(msgspec.Struct, kw_only=True):
    """Milliseconds, by how many of `count` requests were faster; null where there was none."""

    count: int
    p50: int | None
    p90: int | None
    p95: int | None
    p99: int | None
    max: int | None


class OtherCreditView(msgspec.Struct, kw_only=True):
    """What was charged to credit that no purchase has paid for, by its kind; plan: what a subscription comes with."""

    plan: str
    trial: str
    promo: str
    referral: str
    admin: str


class TrafficView(msgspec.Struct, kw_only=True):
    """Requests that were settled; error_rate: failed and interrupted among them. Their token kinds are disjoint.

    charged: what was taken from credit, paid: of it what was bought, other_credit: the rest of it; margin: what is left
    of paid after what providers took; shortfall: what customers could not pay; cost_excess: what providers took beyond
    their price; waived: requests that the house has paid for
    """

    requests: int
    completed: int
    failed: int
    interrupted: int
    abandoned: int
    error_rate: float
    streams: int
    late: int
    accounts: int
    keys: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    images: int
    cost: str
    charged: str
    paid: str
    other_credit: OtherCreditView
    provider_cost: str
    margin: str
    shortfall: str
    cost_excess: str
    waived: int
    waived_cost: str
    duration_ms: TimesView
    first_byte_ms: TimesView


class ModelTrafficView(TrafficView, kw_only=True):
    """Those of one model."""

    model: str


class ProviderTrafficView(msgspec.Struct, kw_only=True):
    """What a provider was asked; refused: for what the client asked; failures: by status, or by reason without one."""

    provider: str
    attempts: int
    successes: int
    failed: int
    refused: int
    success_rate: float | None
    failures: dict[str, int]
    first_byte_ms: TimesView


class LimiterView(msgspec.Struct, kw_only=True):
    """The Redis that limits are counted in, and the settlements that wait there; null where it does not answer."""

    status: Literal["healthy", "down"]
    latency_ms: int | None
    late_settlements: int | None
    look_ups: int | None


class PeopleView(msgspec.Struct, kw_only=True):
    """Who came, and what was bought."""

    new_accounts: int
    trials_started: int
    purchases: int
    purchased: str


class HoldsView(msgspec.Struct, kw_only=True):
    """Money set aside for requests under way; overdue: their time is over."""

    open: int
    amount: str
    overdue: int
    oldest_at: str | None


class WaitingView(msgspec.Struct, kw_only=True):
    """How much waits, and since when."""

    waiting: int
    oldest_at: str | None


class BreakerView(msgspec.Struct, kw_only=True):
    """A model that is not asked of a provider; retry_after_s: until one request tries it."""

    model: str
    state: Breaker
    retry_after_s: int


class ProviderHealthView(msgspec.Struct, kw_only=True):
    """How a provider did in the last hour, as all instances share it; requests: attempts that tell of it."""

    provider: str
    requests: int
    success_rate: float
    median_latency_ms: int | None
    breakers: list[BreakerView]


class NowView(msgspec.Struct, kw_only=True):
    """What stands open at this moment, whatever the window.

    owed: by customers, after something was taken back; providers: those that were asked in the last hour
    """

    holds: HoldsView
    dead_letters: dict[str, int]
    mails: WaitingView
    stripe_events: WaitingView
    owed: str
    pending_prices: int
    limiter: LimiterView
    providers: list[ProviderHealthView]
    switches: SwitchesView


class MonitorView(msgspec.Struct, kw_only=True, rename={"start": "from", "end": "to"}):
    """GET /admin/monitor: a window by when requests were settled, and what stands open now."""

    object: Literal["admin.monitor"] = "admin.monitor"
    start: str
    end: str
    traffic: TrafficView
    models: list[ModelTrafficView]
    providers: list[ProviderTrafficView]
    people: PeopleView
    now: NowView


def monitor_view(monitored: Monitored) -> MonitorView:
    """Show what goes on."""
    books = monitored.books
    people = books.people
    return MonitorView(
        start=books.start,
        end=books.end,
        traffic=TrafficView(**_traffic(books.traffic.total)),
        models=[ModelTrafficView(**_traffic(model), model=model.model_id) for model in books.traffic.models],
        providers=[_provider_view(provider) for provider in books.providers],
        people=PeopleView(
            new_accounts=people.new_accounts,
            trials_started=people.trials_started,
            purchases=people.purchases,
            purchased=format_dollars(people.purchased_nanos),
        ),
        now=_now_view(books.now, monitored.limiter, monitored.providers),
    )


_COUNTED = (
    "requests",
    "completed",
    "failed",
    "interrupted",
    "abandoned",
    "streams",
    "late",
    "accounts",
    "keys",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "reasoning_tokens",
    "images",
    "waived",
)


def _traffic(traffic: Traffic) -> dict[str, Any]:
    errors = traffic.failed + traffic.interrupted
    paid = traffic.charged_by_credit.purchase
    margin = paid - traffic.provider_cost_nanos - traffic.cost_excess_nanos
    return {
        **{name: getattr(traffic, name) for name in _COUNTED},
        "error_rate": _ratio(errors, traffic.requests) or 0.0,
        "cost": format_dollars(traffic.cost_nanos),
        "charged": format_dollars(traffic.charged_nanos),
        "paid": format_dollars(paid),
        "other_credit": _credit_view(traffic.charged_by_credit),
        "provider_cost": format_dollars(traffic.provider_cost_nanos),
        "margin": format_dollars(Nanos(margin)),
        "shortfall": format_dollars(traffic.shortfall_nanos),
        "cost_excess": format_dollars(traffic.cost_excess_nanos),
        "waived_cost": format_dollars(traffic.waived_cost_nanos),
        "duration_ms": _times_view(traffic.duration_ms),
        "first_byte_ms": _times_view(traffic.first_byte_ms),
    }


def _credit_view(charged: CreditCharged) -> OtherCreditView:
    return OtherCreditView(
        plan=format_dollars(charged.plan),
        trial=format_dollars(charged.trial),
        promo=format_dollars(charged.promo),
        referral=format_dollars(charged.referral),
        admin=format_dollars(charged.admin),
    )


def _provider_view(provider: ProviderTraffic) -> ProviderTrafficView:
    return ProviderTrafficView(
        provider=provider.provider,
        attempts=provider.attempts,
        successes=provider.successes,
        failed=provider.failed,
        refused=provider.refused,
        # What a client asked wrongly says nothing of the provider.
        success_rate=_ratio(provider.successes, provider.successes + provider.failed),
        failures=provider.failures,
        first_byte_ms=_times_view(provider.first_byte_ms),
    )


def _now_view(now: StandingNow, limiter: LimiterHealth, providers: Mapping[ProviderSlug, ProviderRecord]) -> NowView:
    return NowView(
        holds=HoldsView(
            open=now.holds.open,
            amount=format_dollars(now.holds.amount_nanos),
            overdue=now.holds.overdue,
            oldest_at=now.holds.oldest_at,
        ),
        dead_letters=now.dead_letters,
        mails=WaitingView(waiting=now.mails.waiting, oldest_at=now.mails.oldest_due_at),
        stripe_events=WaitingView(waiting=now.stripe_events.unhandled, oldest_at=now.stripe_events.oldest_at),
        owed=format_dollars(now.owed_nanos),
        pending_prices=now.pending_prices,
        limiter=LimiterView(
            status="healthy" if limiter.is_reachable else "down",
            latency_ms=limiter.latency_ms,
            late_settlements=limiter.late_settlements,
            look_ups=limiter.look_ups,
        ),
        providers=[_health_view(slug, record) for slug, record in sorted(providers.items())],
        switches=switches_view(now.switches),
    )


def _health_view(slug: ProviderSlug, record: ProviderRecord) -> ProviderHealthView:
    return ProviderHealthView(
        provider=slug,
        requests=record.requests,
        success_rate=record.success_rate,
        median_latency_ms=record.median_latency_ms,
        breakers=[_breaker_view(breaker) for breaker in record.breakers],
    )


def _breaker_view(breaker: OpenBreaker) -> BreakerView:
    return BreakerView(model=breaker.model_id, state=breaker.breaker, retry_after_s=ceil(breaker.retry_ms / 1000))


def _times_view(times: Percentiles) -> TimesView:
    return TimesView(count=times.count, p50=times.p50, p90=times.p90, p95=times.p95, p99=times.p99, max=times.max)


def _ratio(part: int, whole: int) -> float | None:
    return None if whole == 0 else round(part / whole, 4)
