"""What is shown of plans: prices and allowances as exact decimal strings in US dollars."""

from typing import Literal

import msgspec

from shared.billing.plans import AccountPlan, CreditTerms, Offer, Plan, PlanStatus
from shared.billing.types import Interval, ScheduledChange
from shared.core.money import format_cents, format_dollars
from shared.core.terms import Quota, TrialTerms

# A percent in the millionths that a bonus is kept in.

PPM_PER_PERCENT = 10_000


class PricesView(msgspec.Struct, kw_only=True):
    """What a plan costs, tax apart; null where it is not sold for that time."""

    month: str | None
    year: str | None


class PlanLimitsView(msgspec.Struct, kw_only=True):
    """What a plan allows in a minute, at once, in a day and in a month (UTC); null is unlimited."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None
    requests_per_day: int | None
    tokens_per_day: int | None
    requests_per_month: int | None
    tokens_per_month: int | None


class PlanView(msgspec.Struct, kw_only=True):
    """A plan; monthly_allowance is the credit that comes with each month that is paid for."""

    id: str
    object: Literal["plan"] = "plan"
    name: str
    description: str
    features: list[str]
    currency: Literal["USD"] = "USD"
    prices: PricesView
    monthly_allowance: str
    limits: PlanLimitsView


class TermsOfTrialView(msgspec.Struct, kw_only=True):
    """What a trial is: so much credit for so many days."""

    days: int
    amount: str


class OnePlanView(PlanView, kw_only=True):
    """GET /plans/{id}."""

    trial: TermsOfTrialView


class TierView(msgspec.Struct, kw_only=True):
    """The bonus on a purchase of so much or more."""

    min_amount: str
    bonus_percent: str


class CreditTermsView(msgspec.Struct, kw_only=True):
    """How much credit one purchase buys, and what comes on top."""

    min_amount: str
    max_amount: str
    bonuses: list[TierView]


class PlansView(msgspec.Struct, kw_only=True):
    """GET /plans."""

    object: Literal["list"] = "list"
    data: list[PlanView]
    has_more: Literal[False] = False
    next: None = None
    credits: CreditTermsView
    trial: TermsOfTrialView


class PeriodView(msgspec.Struct, kw_only=True):
    """The period that is paid for."""

    starts_at: str
    ends_at: str


class AllowanceView(msgspec.Struct, kw_only=True):
    """The plan's credit for the month that runs; ends_at is null where there is none."""

    granted: str
    remaining: str
    ends_at: str | None


class ScheduledView(msgspec.Struct, kw_only=True):
    """What the subscription changes to, and when."""

    plan_id: str
    interval: Interval
    effective_at: str


class UsedView(msgspec.Struct, kw_only=True):
    """One quota; limit and remaining are null where there is none."""

    limit: int | None
    used: int
    remaining: int | None


class UsageView(msgspec.Struct, kw_only=True):
    """What was used of the plan's quotas in a period of UTC."""

    resets_at: str
    requests: UsedView
    tokens: UsedView


class QuotaUsageView(msgspec.Struct, kw_only=True):
    """What was used today and this month."""

    day: UsageView
    month: UsageView


class OwnPlanView(msgspec.Struct, kw_only=True):
    """GET /user/plan: the plan whose limits hold, and the subscription behind it, if there is one."""

    object: Literal["account_plan"] = "account_plan"
    plan: PlanView
    status: PlanStatus
    interval: Interval | None
    period: PeriodView | None
    allowance: AllowanceView
    usage: QuotaUsageView
    scheduled: ScheduledView | None
    cancels_at: str | None
    grace_ends_at: str | None


def plan_view(plan: Plan) -> PlanView:
    """Show a plan."""
    return PlanView(
        id=plan.id,
        name=plan.name,
        description=plan.description,
        features=list(plan.features),
        prices=_prices(plan),
        monthly_allowance=format_dollars(plan.monthly_allowance_nanos),
        limits=_limits(plan),
    )


def one_plan_view(plan: Plan, trial: TrialTerms) -> OnePlanView:
    """Show a plan and what one may begin with."""
    shown = {name: getattr(plan_view(plan), name) for name in PlanView.__struct_fields__}
    return OnePlanView(**shown, trial=_trial(trial))


def plans_view(offer: Offer) -> PlansView:
    """Show all that is sold or given."""
    return PlansView(
        data=[plan_view(plan) for plan in offer.plans], credits=_credits(offer.credits), trial=_trial(offer.trial)
    )


def own_plan_view(told: AccountPlan) -> OwnPlanView:
    """Show which plan an account is on."""
    subscription, allowance = told.subscription, told.allowance
    return OwnPlanView(
        plan=plan_view(told.plan),
        status=told.status,
        interval=subscription.interval if subscription else None,
        period=PeriodView(starts_at=subscription.period_starts_at, ends_at=subscription.period_ends_at)
        if subscription
        else None,
        allowance=AllowanceView(
            granted=format_dollars(allowance.granted_nanos),
            remaining=format_dollars(allowance.remaining_nanos),
            ends_at=allowance.ends_at,
        ),
        usage=QuotaUsageView(day=_usage(told.quotas.day), month=_usage(told.quotas.month)),
        scheduled=_scheduled(subscription.scheduled) if subscription and subscription.scheduled else None,
        cancels_at=subscription.cancels_at if subscription else None,
        grace_ends_at=subscription.grace_ends_at if subscription else None,
    )


def _prices(plan: Plan) -> PricesView:
    monthly, yearly = plan.monthly_price_cents, plan.yearly_price_cents
    return PricesView(month=format_cents(monthly) if monthly else None, year=format_cents(yearly) if yearly else None)


def _limits(plan: Plan) -> PlanLimitsView:
    limits = plan.limits
    return PlanLimitsView(
        requests_per_minute=limits.requests_per_minute or None,
        tokens_per_minute=limits.tokens_per_minute or None,
        concurrency=limits.concurrency or None,
        requests_per_day=limits.requests_per_day,
        tokens_per_day=limits.tokens_per_day,
        requests_per_month=limits.requests_per_month,
        tokens_per_month=limits.tokens_per_month,
    )


def _trial(terms: TrialTerms) -> TermsOfTrialView:
    return TermsOfTrialView(days=terms.days, amount=format_dollars(terms.amount_nanos))


def _credits(terms: CreditTerms) -> CreditTermsView:
    return CreditTermsView(
        min_amount=format_cents(terms.min_cents),
        max_amount=format_cents(terms.max_cents),
        bonuses=[
            TierView(min_amount=format_cents(tier.min_cents), bonus_percent=_percent(tier.bonus_ppm))
            for tier in terms.tiers
        ],
    )


def _percent(ppm: int) -> str:
    whole, rest = divmod(ppm, PPM_PER_PERCENT)
    return f"{whole}.{rest:04d}".rstrip("0") if rest else str(whole)


def _scheduled(change: ScheduledChange) -> ScheduledView:
    return ScheduledView(plan_id=change.plan_id, interval=change.interval, effective_at=change.at)


def _usage(quota: Quota) -> UsageView:
    return UsageView(
        resets_at=quota.resets_at,
        requests=_used(quota.requests_limit, quota.requests_used),
        tokens=_used(quota.tokens_limit, quota.tokens_used),
    )


def _used(limit: int | None, used: int) -> UsedView:
    return UsedView(limit=limit, used=used, remaining=None if limit is None else max(0, limit - used))
