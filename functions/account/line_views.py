"""What is shown of ledger lines, requests and their sums: money as exact decimal strings in US dollars."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Literal

import msgspec

from shared.core.ids import GenerationId, KeyId, format_generation_id, format_key_id
from shared.core.money import Nanos, format_dollars
from shared.usage.types import Days, RequestOutcome, Transaction, TransactionKind, Usage, UsageSum, UsedRequest

DESCRIPTIONS: dict[TransactionKind, str] = {
    "trial": "Trial credit",
    "purchase": "Credit bought",
    "plan": "Credit of the plan",
    "promo": "Credit from a coupon or promotion",
    "referral": "Referral reward",
    "admin": "Set right by support",
    "refund": "Refunded payment",
    "dispute": "Disputed payment",
    "usage": "Request",
    "breakage": "Credit that expired",
    "repayment": "Repaid what was owed",
}

COUNTED = (
    "requests",
    "failed_requests",
    "input_tokens",
    "cached_input_tokens",
    "cache_write_tokens",
    "output_tokens",
    "images",
)


class TransactionView(msgspec.Struct, kw_only=True):
    """One ledger line; request_id is the X-Generation-Id of the request that it is for."""

    id: str
    kind: TransactionKind
    amount: str
    balance_after: str
    request_id: str | None
    payment_id: str | None
    created_at: str
    description: str


class ActivityView(msgspec.Struct, kw_only=True):
    """One request, when it was settled; input_tokens leaves out those of a cache."""

    id: str
    created_at: str
    model: str
    provider: str | None
    key_id: str
    key_name: str | None
    status: RequestOutcome
    is_stream: bool
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    images: int
    cost: str
    charged: str
    usage_source: str
    first_byte_ms: int | None
    latency_ms: int | None
    app: str | None


class SumView(msgspec.Struct, kw_only=True):
    """What some requests used and cost; failed_requests are those that were not completed."""

    requests: int
    failed_requests: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    images: int
    cost: str
    charged: str


class DayView(SumView, kw_only=True):
    """One day (UTC)."""

    date: str


class ModelView(SumView, kw_only=True):
    """One model."""

    model: str


class ProviderView(SumView, kw_only=True):
    """One provider; null where none answered."""

    provider: str | None


class KeySumView(SumView, kw_only=True):
    """One key."""

    key_id: str
    key_name: str | None


class StatsView(msgspec.Struct, kw_only=True, rename={"from_": "from"}):
    """GET /user/activity/stats: every day from `from` to `to`, and of the others the hundred that cost most."""

    object: Literal["usage"] = "usage"
    from_: str
    to: str
    totals: SumView
    days: list[DayView]
    models: list[ModelView]
    providers: list[ProviderView]
    keys: list[KeySumView]


def transaction_view(line: Transaction) -> TransactionView:
    """Show a ledger line."""
    return TransactionView(
        id=f"txn_{line.id}",
        kind=line.kind,
        amount=format_dollars(line.amount_nanos),
        balance_after=format_dollars(line.balance_after_nanos),
        request_id=None if line.generation_id is None else format_generation_id(GenerationId(line.generation_id)),
        payment_id=line.payment_id,
        created_at=line.created_at,
        description=DESCRIPTIONS[line.kind],
    )


def activity_view(line: UsedRequest) -> ActivityView:
    """Show a request."""
    used = line.quantities
    return ActivityView(
        id=format_generation_id(GenerationId(line.generation_id)),
        created_at=line.created_at,
        model=line.model_id,
        provider=line.provider,
        key_id=format_key_id(line.key_id),
        key_name=line.key_name,
        status=line.outcome,
        is_stream=line.is_stream,
        input_tokens=used.input_tokens,
        cached_input_tokens=used.cached_input_tokens,
        cache_write_tokens=used.cache_write_tokens,
        output_tokens=used.output_tokens,
        reasoning_tokens=line.reasoning_tokens,
        images=used.images,
        cost=format_dollars(line.cost_nanos),
        charged=format_dollars(line.charged_nanos),
        usage_source=line.usage_source,
        first_byte_ms=line.first_byte_ms,
        latency_ms=line.duration_ms,
        app=line.app,
    )


def usage_view(days: Days, usage: Usage) -> StatsView:
    """Show sums; a day without a request is shown as one with none."""
    of_part: dict[str, list[UsageSum]] = {"total": [], "day": [], "model": [], "provider": [], "key": []}
    for each in usage.sums:
        of_part[each.part].append(each)
    return StatsView(
        from_=days.first.isoformat(),
        to=days.last.isoformat(),
        totals=SumView(**_numbers(of_part["total"][0])),
        days=list(_every_day(days, of_part["day"])),
        models=[ModelView(model=each.value, **_numbers(each)) for each in of_part["model"]],
        providers=[ProviderView(provider=each.value or None, **_numbers(each)) for each in of_part["provider"]],
        keys=[
            KeySumView(key_id=format_key_id(KeyId(int(each.value))), key_name=each.key_name, **_numbers(each))
            for each in of_part["key"]
        ],
    )


def _every_day(days: Days, sums: list[UsageSum]) -> Iterator[DayView]:
    by_date = {each.value: each for each in sums}
    for number in range((days.last - days.first).days + 1):
        date = (days.first + timedelta(days=number)).isoformat()
        yield DayView(date=date, **_numbers(by_date.get(date)))


def _numbers(each: UsageSum | None) -> dict[str, Any]:
    if each is None:
        counted = dict.fromkeys(COUNTED, 0)
        return {**counted, "cost": format_dollars(Nanos(0)), "charged": format_dollars(Nanos(0))}
    counted = {name: getattr(each, name) for name in COUNTED}
    return {**counted, "cost": format_dollars(each.cost_nanos), "charged": format_dollars(each.charged_nanos)}
