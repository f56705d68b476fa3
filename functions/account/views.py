"""What is shown of an account: money as exact decimal strings in US dollars."""

from typing import Literal

import msgspec

from functions.account.bodies import EmailKinds
from shared.accounts.types import (
    AccountBalance,
    AccountLimits,
    BalanceStatus,
    EmailPreferences,
    KeyAllowance,
    LotKind,
    Preference,
    Profile,
    SpendPeriod,
)
from shared.core.ids import format_user_id
from shared.core.money import Nanos, ceil_div, format_dollars
from shared.core.terms import Quota
from shared.core.verdicts import MinuteLimits
from shared.limits.standing import Standing, Standings, Use


class GrantView(msgspec.Struct, kw_only=True):
    """Credit of one origin; live_from is set where it cannot be spent yet."""

    kind: LotKind
    remaining: str
    live_from: str | None
    expires_at: str | None


class TrialView(msgspec.Struct, kw_only=True):
    """The trial that runs."""

    ends_at: str
    remaining: str


class BalanceView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """GET /user/balance: balance is what is left and what is held; available is what can be spent now."""

    balance: str
    held: str
    available: str
    owed: str
    currency: Literal["USD"] | None = None
    grants: list[GrantView]
    has_more_grants: bool
    status: BalanceStatus
    trial: TrialView | None = None


class ProfileView(msgspec.Struct, kw_only=True):
    """GET /user/profile."""

    id: str
    name: str | None
    email: str | None
    status: str
    plan: str
    zero_retention: bool
    preferences: dict[str, Preference]
    created_at: str


class EmailsView(msgspec.Struct, kw_only=True):
    """Which e-mails the owner wants."""

    low_balance: bool
    trial: bool
    payments: bool
    keys: bool
    usage_report: bool
    news: bool


class EmailPreferencesView(msgspec.Struct, kw_only=True):
    """GET /user/notifications/preferences; without a threshold nobody is warned."""

    emails: EmailsView
    low_balance_threshold: str | None


class TestEmailView(msgspec.Struct, kw_only=True):
    """POST /user/notifications/test: the mail is on its way, at once or within minutes."""

    __test__ = False
    object: Literal["email"] = "email"
    to: str


class UseView(msgspec.Struct, kw_only=True):
    """One limit: null is unlimited. used and remaining are null while nobody can count."""

    limit: int | None
    used: int | None
    remaining: int | None


class WindowView(UseView, kw_only=True):
    """A limit of a minute; after reset_s all of it is free again."""

    reset_s: int | None


class MinuteView(msgspec.Struct, kw_only=True):
    """What one key or one account may do within a minute and at once."""

    requests_per_minute: WindowView
    tokens_per_minute: WindowView
    concurrency: UseView


class QuotaView(msgspec.Struct, kw_only=True):
    """What the plan allows in a period of UTC."""

    resets_at: str
    requests: UseView
    tokens: UseView


class SpendView(msgspec.Struct, kw_only=True):
    """What the key may spend in its period; requests under way count with what they hold."""

    limit: str
    spent: str
    remaining: str
    period: SpendPeriod
    resets_at: str | None


class KeyLimitsView(MinuteView, kw_only=True):
    """The limits of the key in use."""

    max_requests: UseView
    spend: SpendView | None


class AccountLimitsView(MinuteView, kw_only=True):
    """The limits of its account, all keys together."""

    day: QuotaView
    month: QuotaView


class LimitsView(msgspec.Struct, kw_only=True):
    """GET /user/limits."""

    plan: str
    key: KeyLimitsView
    account: AccountLimitsView


def balance_view(balance: AccountBalance) -> BalanceView:
    """Show a balance."""
    trial = balance.trial
    return BalanceView(
        balance=format_dollars(balance.posted_nanos),
        held=format_dollars(balance.held_nanos),
        available=format_dollars(balance.available_nanos),
        owed=format_dollars(balance.owed_nanos),
        currency="USD",
        grants=[
            GrantView(
                kind=lot.kind,
                remaining=format_dollars(lot.remaining_nanos),
                live_from=lot.live_from,
                expires_at=lot.expires_at,
            )
            for lot in balance.lots
        ],
        has_more_grants=balance.has_more_lots,
        status=balance.status,
        trial=None
        if trial is None
        else TrialView(ends_at=trial.ends_at, remaining=format_dollars(trial.remaining_nanos)),
    )


def profile_view(profile: Profile) -> ProfileView:
    """Show the owner."""
    return ProfileView(
        id=format_user_id(profile.id),
        name=profile.name,
        email=profile.email,
        status=profile.status,
        plan=profile.plan_id,
        zero_retention=profile.is_zero_retention,
        preferences=profile.preferences,
        created_at=profile.created_at,
    )


def email_preferences_view(told: EmailPreferences) -> EmailPreferencesView:
    """Show which e-mails the owner wants; what he never said is as EmailKinds has it."""
    known = {kind: wanted for kind, wanted in told.emails.items() if kind in EmailKinds.model_fields}
    threshold = told.low_balance_threshold_nanos
    return EmailPreferencesView(
        emails=EmailsView(**EmailKinds(**known).model_dump()),
        low_balance_threshold=None if threshold is None else format_dollars(threshold),
    )


def limits_view(limits: AccountLimits, standings: Standings | None) -> LimitsView:
    """Show what is allowed; standings is None while the limiter cannot be asked."""
    of_key = _minute(limits.policy.key, None if standings is None else standings.key)
    of_account = _minute(limits.policy.account, None if standings is None else standings.account)
    key = limits.key
    return LimitsView(
        plan=limits.plan_id,
        key=KeyLimitsView(
            requests_per_minute=of_key.requests_per_minute,
            tokens_per_minute=of_key.tokens_per_minute,
            concurrency=of_key.concurrency,
            max_requests=_use(key.max_requests, key.requests_used),
            spend=_spend(key),
        ),
        account=AccountLimitsView(
            requests_per_minute=of_account.requests_per_minute,
            tokens_per_minute=of_account.tokens_per_minute,
            concurrency=of_account.concurrency,
            day=_quota(limits.quotas.day),
            month=_quota(limits.quotas.month),
        ),
    )


def _minute(limits: MinuteLimits, standing: Standing | None) -> MinuteView:
    if standing is None:
        return MinuteView(
            requests_per_minute=_unknown_window(limits.requests_per_minute),
            tokens_per_minute=_unknown_window(limits.tokens_per_minute),
            concurrency=UseView(limit=limits.concurrency or None, used=None, remaining=None),
        )
    concurrency = standing.concurrency
    return MinuteView(
        requests_per_minute=_window(standing.requests),
        tokens_per_minute=_window(standing.tokens),
        concurrency=_use(concurrency.limit or None, concurrency.used),
    )


def _unknown_window(limit: int) -> WindowView:
    return WindowView(limit=limit or None, used=None, remaining=None, reset_s=None)


def _window(use: Use) -> WindowView:
    limit = use.limit or None
    return WindowView(
        limit=limit, used=use.used, remaining=_remaining(limit, use.used), reset_s=ceil_div(use.reset_ms, 1000)
    )


def _quota(quota: Quota) -> QuotaView:
    return QuotaView(
        resets_at=quota.resets_at,
        requests=_use(quota.requests_limit, quota.requests_used),
        tokens=_use(quota.tokens_limit, quota.tokens_used),
    )


def _use(limit: int | None, used: int) -> UseView:
    return UseView(limit=limit, used=used, remaining=_remaining(limit, used))


def _remaining(limit: int | None, used: int) -> int | None:
    return None if limit is None else max(0, limit - used)


def _spend(key: KeyAllowance) -> SpendView | None:
    limit = key.spend_limit_nanos
    if limit is None:
        return None
    return SpendView(
        limit=format_dollars(limit),
        spent=format_dollars(key.spent_nanos),
        remaining=format_dollars(Nanos(max(0, limit - key.spent_nanos))),
        period=key.spend_limit_period,
        resets_at=key.resets_at,
    )
