"""Ledger lines, requests and their sums, as the SQL functions tell them."""

import uuid
from datetime import date, datetime
from typing import Literal, get_args

import msgspec

from shared.core.ids import KeyId, ModelId, ProviderSlug
from shared.core.money import Nanos
from shared.core.verdicts import LimitsPolicy

# Kinds of the ledger that touch a customer's account; the others are between accounts of the house.
TransactionKind = Literal[
    "trial",
    "purchase",
    "plan",
    "promo",
    "referral",
    "admin",
    "refund",
    "dispute",
    "usage",
    "breakage",
    "repayment",
]
TRANSACTION_KINDS: tuple[TransactionKind, ...] = get_args(TransactionKind)
RequestOutcome = Literal["completed", "interrupted", "abandoned", "failed"]
OUTCOMES: tuple[RequestOutcome, ...] = get_args(RequestOutcome)


class Transaction(msgspec.Struct, frozen=True):
    """One line of an account's ledger, and the balance that it left.

    units   amount_nanos: what came (above zero) or went (below)
    """

    id: int
    kind: TransactionKind
    amount_nanos: Nanos
    balance_after_nanos: Nanos
    generation_id: uuid.UUID | None
    payment_id: str | None
    created_at: str


class Transactions(msgspec.Struct, frozen=True, tag_field="verdict", tag="transactions"):
    """A page of them, newest first."""

    lines: tuple[Transaction, ...]
    has_more: bool
    policy: LimitsPolicy


class TransactionFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which lines are meant; None is any. From one moment until before another, before the line of an id."""

    kinds: tuple[TransactionKind, ...] | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    before: int | None = None


class UsedUnits(msgspec.Struct, frozen=True):
    """What a request used; the token kinds are disjoint."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    images: int
    requests: int


class UsedRequest(msgspec.Struct, frozen=True):
    """One settled request; created_at is when it was settled."""

    generation_id: uuid.UUID
    created_at: str
    model_id: ModelId
    provider: ProviderSlug | None
    key_id: KeyId
    key_name: str | None
    quantities: UsedUnits
    reasoning_tokens: int
    cost_nanos: Nanos
    charged_nanos: Nanos
    outcome: RequestOutcome
    is_stream: bool
    usage_source: str
    first_byte_ms: int | None
    duration_ms: int | None
    app: str | None


class Place(msgspec.Struct, frozen=True):
    """Where a page of requests ended."""

    created_at: str
    generation_id: uuid.UUID


class Activity(msgspec.Struct, frozen=True, tag_field="verdict", tag="activity"):
    """A page of requests, newest first; last_seen is None where nothing comes after it."""

    lines: tuple[UsedRequest, ...]
    last_seen: Place | None
    policy: LimitsPolicy


class ActivityFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which requests are meant; None is any. The fields are those of gateway.activity_filter."""

    model_id: str | None = None
    provider: str | None = None
    key_id: int | None = None
    outcome: RequestOutcome | None = None
    from_at: datetime | None = None
    to_at: datetime | None = None
    before_at: str | None = None
    before_id: uuid.UUID | None = None


class UsageSum(msgspec.Struct, frozen=True):
    """What was used in all, or on one day, with one model, at one provider, by one key: value says which."""

    part: Literal["total", "day", "model", "provider", "key"]
    value: str
    key_name: str | None
    requests: int
    failed_requests: int
    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    images: int
    cost_nanos: Nanos
    charged_nanos: Nanos


class Usage(msgspec.Struct, frozen=True, tag_field="verdict", tag="usage"):
    """The sums of some days; a day without a request is not among them."""

    sums: tuple[UsageSum, ...]
    policy: LimitsPolicy


class Days(msgspec.Struct, frozen=True):
    """Days of UTC, both included."""

    first: date
    last: date
