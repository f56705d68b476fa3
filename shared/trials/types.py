"""What the database tells of trials, coupons and referrals; the shapes of the SQL functions' JSON."""

from typing import Literal

import msgspec

from shared.core.ids import PrivyId
from shared.core.money import Nanos
from shared.core.terms import TrialTerms
from shared.core.verdicts import LimitsPolicy

TrialState = Literal["none", "active", "ended"]


class KnownPerson(msgspec.Struct, frozen=True, kw_only=True):
    """Whose account it is, and the HMACs (hexadecimal) of what he is known by: one per secret, newest first."""

    privy_id: PrivyId | None
    privy_id_hmacs: tuple[str, ...]
    email_normalised: str | None
    email_hmacs: tuple[str, ...]


class PersonChanged(msgspec.Struct, frozen=True, tag_field="verdict", tag="person_changed"):
    """Between looking and giving the owner's e-mail became another."""

    policy: LimitsPolicy


class TrialTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="trial"):
    """The account's trial: without a beginning where there was none yet, and with nothing left where it has ended."""

    state: TrialState
    started_at: str | None
    ends_at: str | None
    amount_nanos: Nanos | None
    remaining_nanos: Nanos
    terms: TrialTerms
    policy: LimitsPolicy
    is_replayed: bool = False


class TrialClosed(msgspec.Struct, frozen=True):
    """What came of looking after one trial."""

    verdict: Literal["ended", "reminded", "unchanged"]


class Redemption(msgspec.Struct, frozen=True):
    """A coupon that was redeemed; expires_at: when its credit does."""

    id: int
    code: str
    amount_nanos: Nanos
    expires_at: str | None
    created_at: str


class RedemptionTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="redemption"):
    """The coupon is redeemed."""

    redemption: Redemption
    policy: LimitsPolicy
    is_replayed: bool = False


class RedemptionsTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="redemptions"):
    """Coupons that were redeemed, newest first."""

    redemptions: tuple[Redemption, ...]
    policy: LimitsPolicy


class ReferralTerms(msgspec.Struct, frozen=True):
    """What each of the two is rewarded with, and the least purchase that earns it."""

    reward_nanos: Nanos
    least_purchase_nanos: Nanos


class AppliedReferral(msgspec.Struct, frozen=True):
    """By whose code the owner came; is_rewarded: the purchase was made, and stands."""

    code: str
    applied_at: str
    is_rewarded: bool


class ReferredCount(msgspec.Struct, frozen=True):
    """How many came by the account's own code, and for how many of them the reward was given."""

    count: int
    rewarded: int


class ReferralTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="referral"):
    """The account's own code and what came of it, and the code that its owner came with; earned is all rewards."""

    code: str
    terms: ReferralTerms
    applied: AppliedReferral | None
    referred: ReferredCount
    earned_nanos: Nanos
    policy: LimitsPolicy
    is_replayed: bool = False


class Settled(msgspec.Struct, frozen=True):
    """How many rewards one call has settled."""

    count: int
