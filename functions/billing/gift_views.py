"""What is shown of trials, coupons and referrals: money as exact decimal strings in US dollars."""

from typing import Literal

import msgspec

from shared.core.money import format_dollars
from shared.trials.types import Redemption, ReferralTold, TrialState, TrialTold


class TrialTermsView(msgspec.Struct, kw_only=True):
    """What a trial is."""

    days: int
    amount: str


class TrialView(msgspec.Struct, kw_only=True):
    """The account's trial; started_at, ends_at and amount are null where there was none yet."""

    object: Literal["trial"] = "trial"
    state: TrialState
    started_at: str | None
    ends_at: str | None
    amount: str | None
    remaining: str
    terms: TrialTermsView


class RedemptionView(msgspec.Struct, kw_only=True):
    """A coupon that was redeemed; its credit goes at expires_at, never where that is null."""

    id: str
    object: Literal["coupon_redemption"] = "coupon_redemption"
    code: str
    amount: str
    expires_at: str | None
    redeemed_at: str


class ReferralTermsView(msgspec.Struct, kw_only=True):
    """What each of the two gets, for a purchase of credit or a plan for at least so much."""

    reward: str
    least_purchase: str


class AppliedView(msgspec.Struct, kw_only=True):
    """By whose code the owner came, and whether that has been rewarded."""

    code: str
    applied_at: str
    is_rewarded: bool


class ReferredView(msgspec.Struct, kw_only=True):
    """How many came by the account's code, and for how many of them the reward was given."""

    count: int
    rewarded: int


class ReferralView(msgspec.Struct, kw_only=True):
    """The account's own code and what came of it; applied is the code that its owner came with, null for none."""

    object: Literal["referral"] = "referral"
    code: str
    terms: ReferralTermsView
    applied: AppliedView | None
    referred: ReferredView
    earned: str


def trial_view(told: TrialTold) -> TrialView:
    """Say what a trial is and what is left of the account's."""
    return TrialView(
        state=told.state,
        started_at=told.started_at,
        ends_at=told.ends_at,
        amount=None if told.amount_nanos is None else format_dollars(told.amount_nanos),
        remaining=format_dollars(told.remaining_nanos),
        terms=TrialTermsView(days=told.terms.days, amount=format_dollars(told.terms.amount_nanos)),
    )


def redemption_view(redemption: Redemption) -> RedemptionView:
    """Say what a coupon has given."""
    return RedemptionView(
        id=str(redemption.id),
        code=redemption.code,
        amount=format_dollars(redemption.amount_nanos),
        expires_at=redemption.expires_at,
        redeemed_at=redemption.created_at,
    )


def referral_view(told: ReferralTold) -> ReferralView:
    """Say by which code the account refers others and what came of it."""
    applied = told.applied
    return ReferralView(
        code=told.code,
        terms=ReferralTermsView(
            reward=format_dollars(told.terms.reward_nanos),
            least_purchase=format_dollars(told.terms.least_purchase_nanos),
        ),
        applied=None
        if applied is None
        else AppliedView(code=applied.code, applied_at=applied.applied_at, is_rewarded=applied.is_rewarded),
        referred=ReferredView(count=told.referred.count, rewarded=told.referred.rewarded),
        earned=format_dollars(told.earned_nanos),
    )
