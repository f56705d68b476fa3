"""What the database tells an account's owner of it; the shapes of the SQL functions' JSON."""

from typing import Literal

import msgspec

from shared.core.ids import AccountId, PrivyId
from shared.core.money import Nanos
from shared.core.terms import Quotas
from shared.core.verdicts import LimitsPolicy

AccountStatus = Literal["active", "suspended", "deleted"]
# trial: one runs, and nothing was ever bought.
BalanceStatus = Literal["trial", "active", "suspended"]
LotKind = Literal["trial", "purchase", "plan", "promo", "referral", "admin"]
SpendPeriod = Literal["day", "week", "month", "total"]
# What a preference may be: they are the customer's own, and nothing here reads them.
Preference = str | int | float | bool | None


class CreditLot(msgspec.Struct, frozen=True):
    """Credit of one origin and one life; live_from is None where it can be spent now."""

    kind: LotKind
    remaining_nanos: Nanos
    live_from: str | None
    expires_at: str | None


class Trial(msgspec.Struct, frozen=True):
    """The trial that runs."""

    ends_at: str
    remaining_nanos: Nanos


class AccountBalance(msgspec.Struct, frozen=True, tag_field="verdict", tag="balance"):
    """What an account has at this moment; posted is what is left and what is held."""

    posted_nanos: Nanos
    owed_nanos: Nanos
    held_nanos: Nanos
    available_nanos: Nanos
    status: BalanceStatus
    lots: tuple[CreditLot, ...]
    has_more_lots: bool
    trial: Trial | None
    policy: LimitsPolicy


class Profile(msgspec.Struct, frozen=True, tag_field="verdict", tag="profile"):
    """Who the owner is, as far as he has told."""

    id: AccountId
    name: str | None
    email: str | None
    status: AccountStatus
    plan_id: str
    preferences: dict[str, Preference]
    is_zero_retention: bool
    created_at: str
    policy: LimitsPolicy


class EmailPreferences(msgspec.Struct, frozen=True, tag_field="verdict", tag="email_preferences"):
    """Which e-mails the owner wants, of those he has said it of; the threshold is None where he wants no warning."""

    emails: dict[str, bool]
    low_balance_threshold_nanos: Nanos | None
    policy: LimitsPolicy


class KeyAllowance(msgspec.Struct, frozen=True):
    """What the key allows; spent counts what is held for requests under way."""

    max_requests: int | None
    requests_used: int
    spend_limit_nanos: Nanos | None
    spend_limit_period: SpendPeriod
    spent_nanos: Nanos
    resets_at: str | None


class AccountLimits(msgspec.Struct, frozen=True, tag_field="verdict", tag="limits"):
    """What plan and key allow beyond a minute."""

    plan_id: str
    quotas: Quotas
    key: KeyAllowance
    policy: LimitsPolicy


class Person(msgspec.Struct, frozen=True, tag_field="verdict", tag="person"):
    """Whose account it is; both None for one that was made without Privy."""

    privy_id: PrivyId | None
    email_normalised: str | None
    policy: LimitsPolicy


class Deleted(msgspec.Struct, frozen=True, tag_field="verdict", tag="deleted"):
    """The account is gone; fingerprints: what its keys and its sign-in were known by."""

    account_id: AccountId
    fingerprints: tuple[str, ...]
    policy: LimitsPolicy
