"""Plans: what is offered, what an account is on, which prices at Stripe stand for it; one call to the database each."""

from typing import Literal

import msgspec

from shared.billing.types import Interval, LiveSubscription
from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.money import Nanos
from shared.core.terms import Quotas, TrialTerms
from shared.core.verdicts import LimitsPolicy, Refused

# canceling: paid for until the period's end; past_due: a payment failed; none: there is no subscription.
PlanStatus = Literal["active", "past_due", "canceling", "none"]


class PlanLimits(msgspec.Struct, frozen=True):
    """What a plan allows: in a minute and at once, where 0 is no limit; in a day and month (UTC), where None is."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int
    requests_per_day: int | None
    tokens_per_day: int | None
    requests_per_month: int | None
    tokens_per_month: int | None


class Plan(msgspec.Struct, frozen=True):
    """A plan; prices are US cents without tax, 0 where it is not to be had so. To a higher rank is an upgrade."""

    id: str
    name: str
    description: str
    features: tuple[str, ...]
    rank: int
    monthly_price_cents: int
    yearly_price_cents: int
    monthly_allowance_nanos: Nanos
    limits: PlanLimits


class CreditTier(msgspec.Struct, frozen=True):
    """From this amount on all of it has this bonus, in millionths."""

    min_cents: int
    bonus_ppm: int


class CreditTerms(msgspec.Struct, frozen=True):
    """How much credit one purchase buys, and what comes on top."""

    min_cents: int
    max_cents: int
    tiers: tuple[CreditTier, ...]


class Offer(msgspec.Struct, frozen=True):
    """All that is sold or given, plans in their order."""

    plans: tuple[Plan, ...]
    credits: CreditTerms
    trial: TrialTerms


class PlanPrice(msgspec.Struct, frozen=True, tag_field="verdict", tag="plan_price"):
    """What a plan costs now; stripe_price_id is None where no price at Stripe stands for that yet."""

    plan_id: str
    name: str
    interval: Interval
    amount_cents: int
    monthly_allowance_nanos: Nanos
    stripe_price_id: str | None


class KeptPrice(msgspec.Struct, frozen=True):
    """superseded: the plan costs something else by now."""

    verdict: Literal["kept", "superseded"]


class Allowance(msgspec.Struct, frozen=True):
    """The plan's credit for the month that runs; ends_at is None where there is none."""

    granted_nanos: Nanos
    remaining_nanos: Nanos
    ends_at: str | None


class AccountPlan(msgspec.Struct, frozen=True, tag_field="verdict", tag="plan"):
    """The plan whose limits hold for an account, and the subscription behind it, if there is one."""

    plan: Plan
    status: PlanStatus
    subscription: LiveSubscription | None
    allowance: Allowance
    quotas: Quotas
    policy: LimitsPolicy


class Plans:
    """The plans of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000100_plans.sql and 20261104000340_plan_reads.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self) -> Offer:
        """Tell what is offered, to whoever asks.

        raises  StoreUnavailable
        """
        return await self._database.call("list_plans", {}, Offer)

    async def read(self, caller: Caller) -> AccountPlan | Refused:
        """Tell which plan the caller's account is on.

        raises  StoreUnavailable
        """
        answer: type[AccountPlan | Refused] = AccountPlan | Refused  # type: ignore[assignment]
        return await self._database.call("read_plan", {"p_caller": caller.to_json()}, answer)

    async def read_price(self, plan_id: str, interval: Interval) -> PlanPrice | Refused:
        """Tell what a plan costs for a month or a year.

        raises  StoreUnavailable
        """
        answer: type[PlanPrice | Refused] = PlanPrice | Refused  # type: ignore[assignment]
        return await self._database.call("read_plan_price", {"p_plan_id": plan_id, "p_interval": interval}, answer)

    async def keep_price(self, price: PlanPrice, stripe_price_id: str) -> KeptPrice:
        """Remember which price at Stripe stands for what a plan costs.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "keep_plan_price",
            {
                "p_plan_id": price.plan_id,
                "p_interval": price.interval,
                "p_stripe_price_id": stripe_price_id,
                "p_amount_cents": price.amount_cents,
            },
            KeptPrice,
        )
