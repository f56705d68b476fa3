"""What admins are shown of accounts, credit and coupons: money as exact decimal strings in US dollars."""

from typing import Any, Literal

import msgspec

from shared.core.ids import KeyEnvironment, format_key_id, format_user_id
from shared.core.money import format_dollars
from shared.core.scopes import Scope
from shared.core.terms import Quota
from shared.flows.provision_user import ProvisionedUser
from shared.operations.types import (
    AccountStatus,
    Coupon,
    CreditTold,
    ProvisionedKey,
    Role,
    Standing,
    User,
    UserLine,
)


class UserLineView(msgspec.Struct, kw_only=True):
    """An account; balance is what it has, what is held included. flags: what somebody should look at."""

    id: str
    object: Literal["user"] = "user"
    external_id: str | None
    privy_id: str | None
    email: str | None
    name: str | None
    status: AccountStatus
    role: Role
    plan_id: str
    flags: list[str]
    dispute: str | None
    balance: str
    owed: str
    created_at: str


class QuotaView(msgspec.Struct, kw_only=True):
    """What the plan allows in a day or month (UTC), null without a limit, and what is used of it."""

    requests_limit: int | None
    requests_used: int
    tokens_limit: int | None
    tokens_used: int
    resets_at: str


class UserView(UserLineView, kw_only=True):
    """GET /admin/users/{id}; base_plan_id: its plan without a subscription."""

    base_plan_id: str
    standing: Standing
    available: str
    held: str
    zero_retention: bool
    keys: int
    last_used_at: str | None
    deleted_at: str | None
    day: QuotaView
    month: QuotaView


class NewKeyView(msgspec.Struct, kw_only=True):
    """The key of a provisioned account; its secret stands beside it, once."""

    id: str
    name: str
    masked: str
    environment: KeyEnvironment
    scopes: list[Scope]
    created_at: str


class ProvisionedView(msgspec.Struct, kw_only=True):
    """POST /admin/users; api_key: the full secret, null where no key was made or its secret is no longer shown."""

    user: UserView
    is_new_user: bool
    key: NewKeyView | None
    api_key: str | None


class CreditView(msgspec.Struct, kw_only=True):
    """POST /admin/users/{id}/credits; moved: by how much the balance is another, owed: what was spent already."""

    amount: str
    moved: str
    owed: str
    is_repeated: bool
    user: UserView


class CouponView(msgspec.Struct, kw_only=True):
    """A coupon and how often it was redeemed."""

    code: str
    object: Literal["coupon"] = "coupon"
    amount: str
    max_redemptions: int
    redemptions: int
    live_from: str | None
    expires_at: str | None
    credit_days: int | None
    is_active: bool
    created_at: str


def user_line_view(user: UserLine) -> UserLineView:
    """Show an account in a list."""
    return UserLineView(**_line(user))


def user_view(user: User) -> UserView:
    """Show an account."""
    return UserView(
        **_line(user),
        base_plan_id=user.base_plan_id,
        standing=user.standing,
        available=format_dollars(user.available_nanos),
        held=format_dollars(user.held_nanos),
        zero_retention=user.is_zero_retention,
        keys=user.keys,
        last_used_at=user.last_used_at,
        deleted_at=user.deleted_at,
        day=_quota_view(user.quotas.day),
        month=_quota_view(user.quotas.month),
    )


def provisioned_view(provisioned: ProvisionedUser) -> ProvisionedView:
    """Show an account that was made or found, and the secret of its new key."""
    told = provisioned.told
    return ProvisionedView(
        user=user_view(told.user),
        is_new_user=told.is_new_user,
        key=None if told.key is None else _key_view(told.key),
        api_key=provisioned.secret,
    )


def credit_view(told: CreditTold) -> CreditView:
    """Show what became of credit that was given or taken."""
    return CreditView(
        amount=format_dollars(told.amount_nanos),
        moved=format_dollars(told.moved_nanos),
        owed=format_dollars(told.owed_nanos),
        is_repeated=told.is_repeated,
        user=user_view(told.user),
    )


def coupon_view(coupon: Coupon) -> CouponView:
    """Show a coupon."""
    return CouponView(
        code=coupon.code,
        amount=format_dollars(coupon.amount_nanos),
        max_redemptions=coupon.max_redemptions,
        redemptions=coupon.redemptions,
        live_from=coupon.live_from,
        expires_at=coupon.expires_at,
        credit_days=coupon.credit_days,
        is_active=coupon.is_active,
        created_at=coupon.created_at,
    )


def _line(user: UserLine) -> dict[str, Any]:
    return {
        "id": format_user_id(user.id),
        "external_id": user.external_id,
        "privy_id": user.privy_id,
        "email": user.email,
        "name": user.name,
        "status": user.status,
        "role": user.role,
        "plan_id": user.plan_id,
        "flags": list(user.flags),
        "dispute": user.dispute_status,
        "balance": format_dollars(user.posted_nanos),
        "owed": format_dollars(user.owed_nanos),
        "created_at": user.created_at,
    }


def _key_view(key: ProvisionedKey) -> NewKeyView:
    return NewKeyView(
        id=format_key_id(key.id),
        name=key.name,
        masked=key.masked,
        environment=key.environment,
        scopes=list(key.scopes),
        created_at=key.created_at,
    )


def _quota_view(quota: Quota) -> QuotaView:
    return QuotaView(
        requests_limit=quota.requests_limit,
        requests_used=quota.requests_used,
        tokens_limit=quota.tokens_limit,
        tokens_used=quota.tokens_used,
        resets_at=quota.resets_at,
    )
