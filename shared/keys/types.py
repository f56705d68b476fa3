"""A key as its owner may see it, and what the database tells of keys; the shapes of the SQL functions' JSON."""

from typing import Any, Literal

import msgspec

from shared.core.ids import KeyEnvironment, KeyId
from shared.core.money import Nanos
from shared.core.scopes import Scope
from shared.core.verdicts import LimitsPolicy

SpendPeriod = Literal["day", "week", "month", "total"]


class ApiKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key with its settings and what it has used; its secret is not in it.

    kind: session stands for someone who is signed in; null lists and limits are no restriction
    spent_nanos, held_nanos: in the current spend period, and what its requests under way have set aside of the limit
    is_app_public: the apps that its requests come from may stand in the public ranking
    old_secrets_until: until when a secret before the newest still works; has_new_secret: one waits to be collected
    """

    id: KeyId
    kind: Literal["secret", "session"]
    name: str
    environment: KeyEnvironment
    masked: str
    is_active: bool
    scopes: tuple[Scope, ...]
    created_at: str
    expires_at: str | None
    last_used_at: str | None
    max_requests: int | None
    requests_used: int
    spend_limit_nanos: Nanos | None
    spend_limit_period: SpendPeriod
    spent_nanos: Nanos
    held_nanos: Nanos
    spend_resets_at: str | None
    ip_allowlist: tuple[str, ...] | None
    allowed_domains: tuple[str, ...] | None
    model_globs: tuple[str, ...] | None
    requests_per_minute: int | None
    tokens_per_minute: int | None
    concurrency: int | None
    rotate_every_days: int | None
    rotates_at: str | None
    is_app_public: bool
    has_new_secret: bool
    old_secrets_until: str | None

    @property
    def remaining_requests(self) -> int | None:
        """How many requests are left to it; None where they are not bounded."""
        return None if self.max_requests is None else max(0, self.max_requests - self.requests_used)

    @property
    def remaining_nanos(self) -> Nanos | None:
        """How much is left to it in the period; None where that is not bounded."""
        if self.spend_limit_nanos is None:
            return None
        return Nanos(max(0, self.spend_limit_nanos - self.spent_nanos - self.held_nanos))


class KeyTold(msgspec.Struct, frozen=True, kw_only=True, tag_field="verdict", tag="key"):
    """One key, read, made or changed.

    fingerprints: what the limiter is to forget of it; sealed: its secret, where that is shown once more or for the
    first time; is_replayed: this was done and answered before
    """

    key: ApiKey
    policy: LimitsPolicy
    fingerprints: tuple[str, ...] = ()
    is_replayed: bool = False
    sealed: str | None = None


class KeysTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="keys"):
    """A page of the account's keys, oldest first."""

    keys: tuple[ApiKey, ...]
    policy: LimitsPolicy


class KeyRevoked(msgspec.Struct, frozen=True, tag_field="verdict", tag="revoked"):
    """The key is no more."""

    fingerprints: tuple[str, ...]
    policy: LimitsPolicy


class KeyUsage(msgspec.Struct, frozen=True, kw_only=True):
    """What one key was charged for since a moment; the token kinds are disjoint."""

    key: ApiKey
    requests: int
    spent_nanos: Nanos
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int


class UsageTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="key_usages"):
    """What a page of keys has used."""

    since: str
    usages: tuple[KeyUsage, ...]
    policy: LimitsPolicy


class KeyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was done to a key; actor_key_id is the key that did it, None where a person or a schedule did."""

    id: int
    event: str
    key_id: KeyId | None
    key_name: str | None
    actor: Literal["user", "key", "admin", "system", "stripe"]
    actor_key_id: KeyId | None
    details: dict[str, Any]
    address: str | None
    request_id: str | None
    created_at: str


class EventsTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="key_events"):
    """A page of what was done to the account's keys, newest first."""

    events: tuple[KeyEvent, ...]
    policy: LimitsPolicy


class DueRotation(msgspec.Struct, frozen=True):
    """A key whose time for a new secret has come; rotates_at is that time, as the database wrote it."""

    key_id: KeyId
    environment: KeyEnvironment
    rotates_at: str


class Rotated(msgspec.Struct, frozen=True, tag_field="verdict", tag="rotated"):
    """The key has its new secret."""


class NotDue(msgspec.Struct, frozen=True, tag_field="verdict", tag="unchanged"):
    """Somebody else was there first, or the key needs none any more."""


class SecretUse(msgspec.Struct, frozen=True):
    """What stands under one secret of SECRET_KEY's list: live keys, sign-ins, secrets to be collected, people."""

    secret_id: str
    keys: int
    sessions: int
    pending: int
    people: int
