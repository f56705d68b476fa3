"""What is shown of plans, orders and payments: money as exact decimal strings in US dollars."""

from typing import Literal

import msgspec

from shared.billing.plan_changes import OutcomeStatus
from shared.billing.plans import AccountPlan, CreditTerms, Offer, Plan, PlanStatus
from shared.billing.types import CheckoutKind, DisputeStatus, Interval, Payment, PaymentStatus, ScheduledChange
from shared.core.money import format_dollars, nanos_from_cents
from shared.core.terms import Quota, TrialTerms
from shared.flows.start_checkout import StartedCheckout

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


class CheckoutView(msgspec.Struct, kw_only=True):
    """POST /billing/checkout: url is where to pay, effective_at when a change comes that is scheduled."""

    id: str
    object: Literal["checkout"] = "checkout"
    kind: CheckoutKind
    status: OutcomeStatus
    url: str | None
    amount: str | None
    bonus: str | None
    plan_id: str | None
    interval: Interval | None
    expires_at: str | None
    effective_at: str | None


class PortalView(msgspec.Struct, kw_only=True):
    """POST /billing/portal."""

    object: Literal["portal"] = "portal"
    url: str


class PaymentView(msgspec.Struct, kw_only=True):
    """A payment: amount is what was paid with its tax, credit what it bought or its plan has given."""

    id: str
    object: Literal["payment"] = "payment"
    kind: CheckoutKind
    status: PaymentStatus
    currency: str
    amount: str
    tax: str
    refunded: str
    disputed: str
    dispute_status: DisputeStatus | None
    credit: str
    bonus: str
    checkout_id: str | None
    subscription_id: str | None
    invoice_id: str | None
    receipt_url: str | None
    paid_at: str | None
    created_at: str


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


def checkout_view(started: StartedCheckout) -> CheckoutView:
    """Show what is being bought and what came of it; a bonus is of credits alone."""
    checkout, outcome = started.checkout, started.outcome
    return CheckoutView(
        id=str(checkout.id),
        kind=checkout.kind,
        status=outcome.status,
        url=outcome.url,
        amount=None if outcome.amount_cents is None else format_dollars(nanos_from_cents(outcome.amount_cents)),
        bonus=format_dollars(checkout.bonus_nanos) if checkout.kind == "credits" else None,
        plan_id=checkout.plan_id,
        interval=checkout.interval,
        expires_at=outcome.expires_at,
        effective_at=outcome.effective_at,
    )


def payment_view(payment: Payment) -> PaymentView:
    """Show a payment."""
    return PaymentView(
        id=payment.id,
        kind=payment.kind,
        status=payment.status,
        currency=payment.currency.upper(),
        amount=_cents(payment.received_cents),
        tax=_cents(payment.tax_cents),
        refunded=_cents(payment.refunded_cents),
        disputed=_cents(payment.disputed_cents),
        dispute_status=payment.dispute_status,
        credit=format_dollars(payment.credit_nanos),
        bonus=format_dollars(payment.bonus_nanos),
        checkout_id=None if payment.checkout_id is None else str(payment.checkout_id),
        subscription_id=payment.subscription_id,
        invoice_id=payment.invoice_id,
        receipt_url=payment.receipt_url,
        paid_at=payment.paid_at,
        created_at=payment.created_at,
    )


def _cents(cents: int) -> str:
    return format_dollars(nanos_from_cents(cents))


def _prices(plan: Plan) -> PricesView:
    monthly, yearly = plan.monthly_price_cents, plan.yearly_price_cents
    return PricesView(month=_cents(monthly) if monthly else None, year=_cents(yearly) if yearly else None)


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
        min_amount=_cents(terms.min_cents),
        max_amount=_cents(terms.max_cents),
        bonuses=[
            TierView(min_amount=_cents(tier.min_cents), bonus_percent=_percent(tier.bonus_ppm)) for tier in terms.tiers
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
