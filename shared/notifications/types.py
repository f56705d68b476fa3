"""The e-mails there are, and the facts that each is made of; the database writes them, as JSON."""

import uuid
from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Literal, get_args

import msgspec

from shared.core.ids import AccountId
from shared.core.money import Nanos
from shared.core.verdicts import LimitsPolicy

# What the owner can switch off, each by itself.
Category = Literal["low_balance", "trial", "payments", "keys", "usage_report", "news"]
CATEGORIES: tuple[Category, ...] = get_args(Category)


class Mail(msgspec.Struct, frozen=True, rename={"attempt": "try"}):
    """One e-mail that is to be sent now.

    attempt   counted from one; whoever ends a try names it
    category  one of CATEGORIES, or account, which cannot be switched off
    """

    id: uuid.UUID
    attempt: int
    account_id: AccountId
    template: str
    category: str
    address: str
    data: msgspec.Raw
    created_at: datetime


class Nothing(msgspec.Struct, frozen=True):
    """What is said is always the same."""


class TrialStarted(msgspec.Struct, frozen=True):
    """A trial has begun."""

    amount_nanos: Nanos
    ends_at: datetime


class TrialEnding(msgspec.Struct, frozen=True):
    """A trial ends within a day."""

    ends_at: datetime
    remaining_nanos: Nanos | None = None


class TrialEnded(msgspec.Struct, frozen=True):
    """A trial is over."""

    ended_at: datetime


class LowBalance(msgspec.Struct, frozen=True):
    """There is less than the owner wants to have."""

    available_nanos: Nanos
    threshold_nanos: Nanos


class PaymentReceived(msgspec.Struct, frozen=True):
    """A payment was posted: for credits, or for a plan's period."""

    payment_id: str
    kind: Literal["credits", "plan"]
    received_cents: int
    tax_cents: int = 0
    credit_nanos: Nanos = Nanos(0)
    bonus_nanos: Nanos = Nanos(0)
    plan_name: str | None = None
    receipt_url: str | None = None


class PaymentRefunded(msgspec.Struct, frozen=True):
    """Money of a payment went back; taken_nanos: the credit that went with it."""

    payment_id: str
    refunded_cents: int
    taken_nanos: Nanos | None = None


class PaymentFailed(msgspec.Struct, frozen=True):
    """A plan's payment did not go through; until grace_ends_at the plan stays."""

    plan_name: str | None = None
    amount_cents: int | None = None
    grace_ends_at: datetime | None = None
    invoice_url: str | None = None


class PlanChanged(msgspec.Struct, frozen=True):
    """The plan is another, or will be from effective_at on."""

    plan_name: str
    effective_at: datetime | None = None


class KeyMade(msgspec.Struct, frozen=True):
    """Somebody made a key with one of the account's keys or its sign-in."""

    name: str
    masked: str
    environment: str
    at: datetime


class KeyRotated(KeyMade, frozen=True):
    """A key has a new secret; the old one works for overlap_hours more."""

    overlap_hours: int | None = None
    is_by_schedule: bool = False


class UsageSum(msgspec.Struct, frozen=True):
    """What some requests of a month used; value and key_name say of which model or key."""

    requests: int
    failed_requests: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    images: int
    cost_nanos: Nanos
    charged_nanos: Nanos
    value: str = ""
    key_name: str | None = None


class UsageReport(msgspec.Struct, frozen=True):
    """A month (UTC) in numbers: all of it, and the models and keys that cost most."""

    month: str
    total: UsageSum
    models: tuple[UsageSum, ...] = ()
    keys: tuple[UsageSum, ...] = ()


class SecurityNotice(msgspec.Struct, frozen=True):
    """Something that the owner should know though he may not have done it; which fields are there depends on event.

    event  address_refused, domain_refused, email_changed, payment_disputed, or another, which is then named as it is
    """

    event: str
    at: datetime | None = None
    name: str | None = None
    masked: str | None = None
    address: str | None = None
    origin_host: str | None = None
    payment_id: str | None = None
    disputed_cents: int | None = None


FACTS: Mapping[str, type[msgspec.Struct]] = MappingProxyType(
    {
        "welcome": Nothing,
        "trial_started": TrialStarted,
        "trial_ending": TrialEnding,
        "trial_ended": TrialEnded,
        "low_balance": LowBalance,
        "payment_received": PaymentReceived,
        "payment_refunded": PaymentRefunded,
        "payment_failed": PaymentFailed,
        "plan_changed": PlanChanged,
        "key_created": KeyMade,
        "key_rotated": KeyRotated,
        "usage_report": UsageReport,
        "security_notice": SecurityNotice,
        "test": Nothing,
    }
)


class TestMail(msgspec.Struct, frozen=True, tag_field="verdict", tag="test_mail"):
    """A test mail to the owner is in the outbox."""

    __test__ = False
    account_id: AccountId
    address: str
    is_replayed: bool
    policy: LimitsPolicy


class Rendered(msgspec.Struct, frozen=True):
    """An e-mail as it is read: the same facts as text and as HTML."""

    subject: str
    text: str
    html: str
    headers: dict[str, str]
