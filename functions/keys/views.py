"""What is shown of a key: money as exact decimal strings in US dollars, and its secret once."""

from typing import Any, Literal

import msgspec

from shared.core.ids import KeyEnvironment, KeyId, format_key_id
from shared.core.money import Nanos, format_dollars
from shared.core.scopes import Scope
from shared.core.verdicts import LimitsPolicy
from shared.flows.manage_keys import IssuedKey
from shared.keys.types import ApiKey, KeyEvent, KeyUsage, SpendPeriod


class SpendLimitView(msgspec.Struct, kw_only=True):
    """The most that the key may spend in a period (UTC); resets_at is when the next begins, null for `total`."""

    amount: str
    period: SpendPeriod
    spent: str
    remaining: str
    resets_at: str | None


class LimitsView(msgspec.Struct, kw_only=True):
    """The key's own limits beside the plan's; null is none of its own."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None


class KeyView(msgspec.Struct, kw_only=True):
    """A key; its secret is nowhere in it. masked is null for a sign-in, which has none to show."""

    id: str
    object: Literal["api_key"] = "api_key"
    name: str
    masked: str | None
    environment: KeyEnvironment
    scopes: list[Scope]
    is_active: bool
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    max_requests: int | None
    requests_used: int
    requests_remaining: int | None
    spend_limit: SpendLimitView | None
    ip_allowlist: list[str] | None
    allowed_domains: list[str] | None
    models: list[str] | None
    limits: LimitsView
    rotate_every_days: int | None
    rotates_at: str | None
    is_app_public: bool
    has_new_secret: bool
    old_secrets_until: str | None


class IssuedKeyView(KeyView, kw_only=True):
    """A key with its secret, shown once; null for whoever asks again later than ten minutes after."""

    api_key: str | None


class LimitsInForce(msgspec.Struct, kw_only=True):
    """Per minute and at once; null is unlimited."""

    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None


class OwnKeyView(KeyView, kw_only=True):
    """GET /v1/key: the key in use, and the limits that hold for it, its own and its account's."""

    kind: Literal["api_key", "session"]
    limits_in_force: LimitsInForce


class UsageView(msgspec.Struct, kw_only=True):
    """What one key was charged for in the time asked about."""

    id: str
    name: str
    masked: str
    requests: int
    tokens: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    spend: str
    requests_remaining: int | None
    spend_remaining: str | None


class EventView(msgspec.Struct, kw_only=True):
    """One line of the audit log; actor_key_id is the key that acted."""

    id: str
    event: str
    key_id: str | None
    key_name: str | None
    actor: str
    actor_key_id: str | None
    details: dict[str, Any]
    address: str | None
    request_id: str | None
    created_at: str


def key_view(key: ApiKey) -> KeyView:
    """Show a key."""
    return KeyView(**_shown(key))


def issued_key_view(issued: IssuedKey) -> IssuedKeyView:
    """Show a key with its secret."""
    return IssuedKeyView(**_shown(issued.key), api_key=issued.secret)


def own_key_view(key: ApiKey, policy: LimitsPolicy) -> OwnKeyView:
    """Show the key in use."""
    in_force = {name: _tighter(getattr(policy.key, name), getattr(policy.account, name)) for name in _LIMITS}
    return OwnKeyView(
        **_shown(key),
        kind="api_key" if key.kind == "secret" else "session",
        limits_in_force=LimitsInForce(**in_force),
    )


def usage_view(usage: KeyUsage) -> UsageView:
    """Show what a key has used."""
    key = usage.key
    tokens = usage.input_tokens + usage.cached_input_tokens + usage.cache_write_tokens + usage.output_tokens
    return UsageView(
        id=format_key_id(key.id),
        name=key.name,
        masked=key.masked,
        requests=usage.requests,
        tokens=tokens,
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
        spend=format_dollars(usage.spent_nanos),
        requests_remaining=key.remaining_requests,
        spend_remaining=_dollars(key.remaining_nanos),
    )


def event_view(event: KeyEvent) -> EventView:
    """Show a line of the audit log."""
    return EventView(
        id=f"evt_{event.id}",
        event=event.event,
        key_id=_key_id(event.key_id),
        key_name=event.key_name,
        actor=event.actor,
        actor_key_id=_key_id(event.actor_key_id),
        details=event.details,
        address=event.address,
        request_id=event.request_id,
        created_at=event.created_at,
    )


_LIMITS = ("requests_per_minute", "tokens_per_minute", "concurrency")
# What a view shows as the database tells it.
_AS_TOLD = (
    "name", "environment", "is_active", "created_at", "last_used_at", "expires_at", "max_requests",
    "requests_used", "rotate_every_days", "rotates_at", "is_app_public", "has_new_secret", "old_secrets_until",
)  # fmt: skip


def _shown(key: ApiKey) -> dict[str, Any]:
    return {
        **{name: getattr(key, name) for name in _AS_TOLD},
        "id": format_key_id(key.id),
        "masked": key.masked if key.kind == "secret" else None,
        "scopes": list(key.scopes),
        "requests_remaining": key.remaining_requests,
        "spend_limit": _spend_limit(key),
        "ip_allowlist": _list(key.ip_allowlist),
        "allowed_domains": _list(key.allowed_domains),
        "models": _list(key.model_globs),
        "limits": LimitsView(**{name: getattr(key, name) for name in _LIMITS}),
    }


def _spend_limit(key: ApiKey) -> SpendLimitView | None:
    if key.spend_limit_nanos is None or key.remaining_nanos is None:
        return None
    return SpendLimitView(
        amount=format_dollars(key.spend_limit_nanos),
        period=key.spend_limit_period,
        spent=format_dollars(key.spent_nanos),
        remaining=format_dollars(key.remaining_nanos),
        resets_at=key.spend_resets_at,
    )


def _tighter(first: int, second: int) -> int | None:
    """Return the lower of two limits, of which 0 is none; None where both are none."""
    return min((limit for limit in (first, second) if limit), default=None)


def _list(entries: tuple[str, ...] | None) -> list[str] | None:
    return None if entries is None else list(entries)


def _dollars(amount: Nanos | None) -> str | None:
    return None if amount is None else format_dollars(amount)


def _key_id(key_id: KeyId | None) -> str | None:
    return None if key_id is None else format_key_id(key_id)
