"""What the database tells admins of what goes on: switches, traffic, what was given up, the log and the books."""

from typing import Any, Literal

import msgspec

from shared.core.ids import AccountId, KeyId, ModelId, ProviderSlug
from shared.core.money import Nanos
from shared.operations.types import AdminAnswer

LetterKind = Literal["late_settlement", "mail", "payment", "subscription", "stripe_event"]
Actor = Literal["user", "key", "admin", "system", "stripe"]


class Switches(msgspec.Struct, frozen=True, kw_only=True):
    """What is stopped; daily_loss_bound_nanos: what losses and spent trial credit may come to in a day (UTC)."""

    are_trials_stopped: bool
    is_inference_stopped: bool
    daily_loss_bound_nanos: Nanos | None
    loss_today_nanos: Nanos
    trial_spend_today_nanos: Nanos
    is_loss_bound_passed: bool
    changed_at: str | None


class SwitchesTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="switches"):
    """The switches, read or set."""

    switches: Switches


class LossAlarm(msgspec.Struct, frozen=True):
    """What the house has lost today; is_due: with the trials it is more than it may, and nobody was told yet."""

    is_due: bool
    loss_nanos: Nanos
    trial_spend_nanos: Nanos
    bound_nanos: Nanos | None


class Percentiles(msgspec.Struct, frozen=True):
    """Of how many times, in milliseconds; None where there is none."""

    count: int
    p50: int | None
    p90: int | None
    p95: int | None
    p99: int | None
    max: int | None


class CreditCharged(msgspec.Struct, frozen=True, kw_only=True):
    """What requests were charged, by the kind of the lots that it was taken from; a purchase alone is money paid."""

    purchase: Nanos = Nanos(0)
    plan: Nanos = Nanos(0)
    trial: Nanos = Nanos(0)
    promo: Nanos = Nanos(0)
    referral: Nanos = Nanos(0)
    admin: Nanos = Nanos(0)


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """The requests that were settled in a window.

    charged_nanos: what was taken from credit, charged_by_credit tells from which; waived: those that the house has paid
    for, waived_cost_nanos at the providers; the token kinds are disjoint
    """

    requests: int
    completed: int
    failed: int
    interrupted: int
    abandoned: int
    streams: int
    late: int
    accounts: int
    keys: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    reasoning_tokens: int
    images: int
    cost_nanos: Nanos
    charged_nanos: Nanos
    charged_by_credit: CreditCharged
    shortfall_nanos: Nanos
    provider_cost_nanos: Nanos
    cost_excess_nanos: Nanos
    waived: int
    waived_cost_nanos: Nanos
    duration_ms: Percentiles
    first_byte_ms: Percentiles


class ModelTraffic(Traffic, frozen=True, kw_only=True):
    """Those of one model."""

    model_id: ModelId


class AllTraffic(msgspec.Struct, frozen=True):
    """In all, and by the twenty models that were asked most."""

    total: Traffic
    models: tuple[ModelTraffic, ...]


class ProviderTraffic(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider was asked; refused: for what the client asked; failures: how many by status or by reason."""

    provider: ProviderSlug
    attempts: int
    successes: int
    failed: int
    refused: int
    failures: dict[str, int]
    first_byte_ms: Percentiles


class OpenHolds(msgspec.Struct, frozen=True):
    """Money set aside now; overdue: by requests whose time is over."""

    open: int
    amount_nanos: Nanos
    overdue: int
    oldest_at: str | None


class WaitingMails(msgspec.Struct, frozen=True):
    """E-mails that are not sent yet."""

    waiting: int
    oldest_due_at: str | None


class WaitingEvents(msgspec.Struct, frozen=True):
    """Events of Stripe's that are not handled yet."""

    unhandled: int
    oldest_at: str | None


class StandingNow(msgspec.Struct, frozen=True, kw_only=True):
    """What stands open at this moment; dead_letters: by kind."""

    holds: OpenHolds
    dead_letters: dict[str, int]
    mails: WaitingMails
    stripe_events: WaitingEvents
    owed_nanos: Nanos
    pending_prices: int
    switches: Switches


class People(msgspec.Struct, frozen=True):
    """Who came in a window, and what was bought."""

    new_accounts: int
    trials_started: int
    purchases: int
    purchased_nanos: Nanos


class MonitorTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="monitor"):
    """What went on from one moment until before another."""

    start: str = msgspec.field(name="from")
    end: str = msgspec.field(name="to")
    traffic: AllTraffic
    providers: tuple[ProviderTraffic, ...]
    people: People
    now: StandingNow


class Letter(msgspec.Struct, frozen=True, kw_only=True):
    """Something that was given up; subject: what it is about."""

    id: int
    kind: LetterKind
    subject: str
    payload: dict[str, Any]
    reason: str
    tries: int
    created_at: str
    resolved_at: str | None


class LettersTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="dead_letters"):
    """A page of what was given up, newest first."""

    letters: tuple[Letter, ...]


class LetterTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="dead_letter"):
    """One of them."""

    letter: Letter


class LetterFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which of them are meant: None is any."""

    kind: LetterKind | None = None
    is_open: bool | None = None


class AuditLine(msgspec.Struct, frozen=True, kw_only=True):
    """Who did what to whom; key_id: the key that acted, actor_account_id: whose it is."""

    id: int
    account_id: AccountId | None
    actor: Actor
    key_id: KeyId | None
    actor_account_id: AccountId | None
    event: str
    subject: str | None
    details: dict[str, Any]
    address: str | None
    request_id: str | None
    created_at: str


class AuditTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="audit"):
    """A page of the audit log, newest first."""

    lines: tuple[AuditLine, ...]


class AuditFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are meant: None is any."""

    account_id: AccountId | None = None
    actor: Actor | None = None
    event: str | None = None
    from_at: str | None = None
    to_at: str | None = None


class BrokenRule(msgspec.Struct, frozen=True):
    """Something that does not balance, and of what."""

    rule: str
    subject: str


class LedgerCheckTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="ledger_check"):
    """The books, added up anew: the first of what does not balance, and how much there is."""

    broken: tuple[BrokenRule, ...]
    broken_count: int
    checked_at: str
