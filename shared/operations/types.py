"""What the database tells admins of accounts, credit and coupons; the shapes of the SQL functions' JSON."""

from typing import Literal

import msgspec

from shared.core.ids import AccountId, KeyEnvironment, KeyId
from shared.core.money import Nanos
from shared.core.scopes import Scope
from shared.core.terms import Quotas
from shared.core.verdicts import LimitsPolicy

Role = Literal["user", "admin"]
AccountStatus = Literal["active", "suspended", "deleted"]
# What an admin makes of one.
SettableStatus = Literal["active", "suspended"]
Standing = Literal["trial", "active", "suspended"]


class AdminAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What every answer to an admin has beside its own.

    policy: the limits of his key, None with ADMIN_API_KEY; is_replayed: this was done and answered before; sealed: the
    part of that answer which is shown once; fingerprints: the keys that the limiter is to ask for anew
    """

    policy: LimitsPolicy | None = None
    is_replayed: bool = False
    sealed: str | None = None
    fingerprints: tuple[str, ...] = ()


class AdminKnown(AdminAnswer, frozen=True, tag_field="verdict", tag="admin"):
    """He operates the gateway."""


class UserLine(msgspec.Struct, frozen=True, kw_only=True):
    """An account in a list; posted_nanos: what it has, what is set aside included."""

    id: AccountId
    external_id: str | None
    privy_id: str | None
    email: str | None
    name: str | None
    status: AccountStatus
    role: Role
    plan_id: str
    flags: tuple[str, ...]
    dispute_status: str | None
    created_at: str
    posted_nanos: Nanos
    owed_nanos: Nanos


class User(UserLine, frozen=True, kw_only=True):
    """One account; base_plan_id: its plan without a subscription."""

    base_plan_id: str
    is_zero_retention: bool
    deleted_at: str | None
    standing: Standing
    available_nanos: Nanos
    held_nanos: Nanos
    quotas: Quotas
    keys: int
    last_used_at: str | None


class UsersTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="users"):
    """A page of accounts, newest first."""

    users: tuple[UserLine, ...]


class UserTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="user"):
    """One account, read or changed."""

    user: User


class ProvisionedKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that an account was made with."""

    id: KeyId
    name: str
    masked: str
    environment: KeyEnvironment
    scopes: tuple[Scope, ...]
    created_at: str


class Provisioned(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="provisioned"):
    """The account of an external id; key: None where it was there already and asked for no other."""

    is_new_user: bool
    user: User
    key: ProvisionedKey | None


class CreditTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="credit"):
    """Credit given or taken.

    is_repeated: the ledger knows it from before; moved_nanos: what the wallet has more or less; owed_nanos: what could
    not be taken any more
    """

    amount_nanos: Nanos
    moved_nanos: Nanos
    owed_nanos: Nanos
    is_repeated: bool
    user: User


class Coupon(msgspec.Struct, frozen=True, kw_only=True):
    """A code and what it gives; credit_days: for how long the credit lasts, None for ever."""

    code: str
    amount_nanos: Nanos
    max_redemptions: int
    redemptions: int
    live_from: str | None
    expires_at: str | None
    credit_days: int | None
    is_active: bool
    created_at: str


class CouponsTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="coupons"):
    """A page of coupons by their codes."""

    coupons: tuple[Coupon, ...]


class CouponTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="coupon"):
    """One coupon, made or changed."""

    coupon: Coupon


class UserFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which accounts are meant: None is any. search: how an address, a name or an external id begins, or a Privy id."""

    search: str | None = None
    account_id: AccountId | None = None
    status: AccountStatus | None = None
    role: Role | None = None
    plan_id: str | None = None


class NewUser(msgspec.Struct, frozen=True, kw_only=True):
    """An account that is made for somebody who never signs in here."""

    external_id: str
    email: str | None
    name: str | None
    plan_id: str


class NewUserKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key that comes with it."""

    name: str
    environment: KeyEnvironment
    scopes: tuple[Scope, ...]
