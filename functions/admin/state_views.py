"""What admins are shown of what goes on: money as exact decimal strings in US dollars, times in milliseconds."""

from typing import Any, Literal

import msgspec

from shared.core.ids import format_key_id, format_user_id
from shared.core.money import Nanos, format_dollars
from shared.flows.read_monitor import LimiterHealth, Monitored
from shared.operations.state_types import (
    Actor,
    AuditLine,
    LedgerCheckTold,
    Letter,
    LetterKind,
    Percentiles,
    ProviderTraffic,
    StandingNow,
    Switches,
    Traffic,
)


class SwitchesView(msgspec.Struct, kw_only=True):
    """What is stopped; loss_today: what the house lost today (UTC), is_loss_bound_passed: trials pause for it."""

    object: Literal["admin.switches"] = "admin.switches"
    stop_trials: bool
    stop_inference: bool
    daily_loss_bound: str | None
    loss_today: str
    is_loss_bound_passed: bool
    changed_at: str | None


class TimesView(msgspec.Struct, kw_only=True):
    """Milliseconds, by how many of `count` requests were faster; null where there was none."""

    count: int
    p50: int | None
    p90: int | None
    p95: int | None
    p99: int | None
    max: int | None


class TrafficView(msgspec.Struct, kw_only=True):
    """Requests that were settled; error_rate: failed and interrupted among them. Their token kinds are disjoint.

    charged: what customers paid; margin: what of it is left of what providers took; shortfall: what customers could not
    pay; cost_excess: what providers took beyond their price; waived: requests that the house has paid for
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


class NowView(msgspec.Struct, kw_only=True):
    """What stands open at this moment, whatever the window; owed: by customers, after something was taken back."""

    holds: HoldsView
    dead_letters: dict[str, int]
    mails: WaitingView
    stripe_events: WaitingView
    owed: str
    pending_prices: int
    limiter: LimiterView
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


class LetterView(msgspec.Struct, kw_only=True):
    """Something that was given up after every try."""

    id: str
    object: Literal["admin.dead_letter"] = "admin.dead_letter"
    kind: LetterKind
    subject: str
    reason: str
    tries: int
    payload: dict[str, Any]
    created_at: str
    resolved_at: str | None


class AuditView(msgspec.Struct, kw_only=True):
    """Who did what to whose account; actor_id: whose key it was done with, null with ADMIN_API_KEY."""

    id: str
    object: Literal["admin.event"] = "admin.event"
    event: str
    actor: Actor
    actor_id: str | None
    key_id: str | None
    user_id: str | None
    subject: str | None
    details: dict[str, Any]
    address: str | None
    request_id: str | None
    created_at: str


class BrokenView(msgspec.Struct, kw_only=True):
    """A rule that does not hold, and of what."""

    rule: str
    subject: str


class LedgerCheckView(msgspec.Struct, kw_only=True):
    """GET /admin/ledger/check: the first hundred of what does not balance."""

    object: Literal["admin.ledger_check"] = "admin.ledger_check"
    balances: bool
    broken_count: int
    broken: list[BrokenView]
    checked_at: str


def switches_view(switches: Switches) -> SwitchesView:
    """Show what is stopped."""
    return SwitchesView(
        stop_trials=switches.are_trials_stopped,
        stop_inference=switches.is_inference_stopped,
        daily_loss_bound=_dollars(switches.daily_loss_bound_nanos),
        loss_today=format_dollars(switches.loss_today_nanos),
        is_loss_bound_passed=switches.is_loss_bound_passed,
        changed_at=switches.changed_at,
    )


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
        now=_now_view(books.now, monitored.limiter),
    )


def letter_view(letter: Letter) -> LetterView:
    """Show something that was given up."""
    return LetterView(
        id=str(letter.id),
        kind=letter.kind,
        subject=letter.subject,
        reason=letter.reason,
        tries=letter.tries,
        payload=letter.payload,
        created_at=letter.created_at,
        resolved_at=letter.resolved_at,
    )


def audit_view(line: AuditLine) -> AuditView:
    """Show a line of the log."""
    return AuditView(
        id=f"evt_{line.id}",
        event=line.event,
        actor=line.actor,
        actor_id=None if line.actor_account_id is None else format_user_id(line.actor_account_id),
        key_id=None if line.key_id is None else format_key_id(line.key_id),
        user_id=None if line.account_id is None else format_user_id(line.account_id),
        subject=line.subject,
        details=line.details,
        address=line.address,
        request_id=line.request_id,
        created_at=line.created_at,
    )


def ledger_check_view(told: LedgerCheckTold) -> LedgerCheckView:
    """Show whether the books balance."""
    return LedgerCheckView(
        balances=told.broken_count == 0,
        broken_count=told.broken_count,
        broken=[BrokenView(rule=broken.rule, subject=broken.subject) for broken in told.broken],
        checked_at=told.checked_at,
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
    margin = traffic.charged_nanos - traffic.provider_cost_nanos - traffic.cost_excess_nanos
    return {
        **{name: getattr(traffic, name) for name in _COUNTED},
        "error_rate": _ratio(errors, traffic.requests) or 0.0,
        "cost": format_dollars(traffic.cost_nanos),
        "charged": format_dollars(traffic.charged_nanos),
        "provider_cost": format_dollars(traffic.provider_cost_nanos),
        "margin": format_dollars(Nanos(margin)),
        "shortfall": format_dollars(traffic.shortfall_nanos),
        "cost_excess": format_dollars(traffic.cost_excess_nanos),
        "waived_cost": format_dollars(traffic.waived_cost_nanos),
        "duration_ms": _times_view(traffic.duration_ms),
        "first_byte_ms": _times_view(traffic.first_byte_ms),
    }


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


def _now_view(now: StandingNow, limiter: LimiterHealth) -> NowView:
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
        switches=switches_view(now.switches),
    )


def _times_view(times: Percentiles) -> TimesView:
    return TimesView(count=times.count, p50=times.p50, p90=times.p90, p95=times.p95, p99=times.p99, max=times.max)


def _ratio(part: int, whole: int) -> float | None:
    return None if whole == 0 else round(part / whole, 4)


def _dollars(amount: Nanos | None) -> str | None:
    return None if amount is None else format_dollars(amount)
