"""What the limiter is asked and what it answers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from shared.core.ids import AccountId


@dataclass(frozen=True, slots=True)
class RatePolicy:
    """The limits of one key or one account; 0 is no limit."""

    requests_per_minute: int
    tokens_per_minute: int
    concurrency: int


@dataclass(frozen=True, slots=True)
class KeyPolicy:
    """Everything that is counted when a key is used: its own limits and those of its account."""

    account_id: AccountId
    account: RatePolicy
    key: RatePolicy


@dataclass(frozen=True, slots=True)
class Allowance:
    """One limit at one moment; reset_ms is the time until all of it is free again."""

    limit: int
    remaining: int
    reset_ms: int


@dataclass(frozen=True, slots=True)
class RateState:
    """Where a caller stands: for each measure the tighter of key and account, None where neither has a limit."""

    requests: Allowance | None
    tokens: Allowance | None


class Measure(StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENCY = "concurrency"


# Whose limit it is.
Subject = Literal["key", "account", "address"]


@dataclass(frozen=True, slots=True)
class Reservation:
    """A request that the limiter let through: what is to be given back when it ends.

    key is the key's fingerprint; bucket is the stretch of time in which the tokens were counted.
    """

    lease_id: str
    account_id: AccountId
    key: str
    bucket: int
    tokens: int
    state: RateState


@dataclass(frozen=True, slots=True)
class KeyUnseen:
    """Nobody has used this key within the hour: admission says whether it exists and what its limits are."""


@dataclass(frozen=True, slots=True)
class KeyUnknown:
    """Admission said within the last minute that no such key exists."""


@dataclass(frozen=True, slots=True)
class FailedOpen:
    """Redis did not answer; the request goes on, held only by this instance's own count."""


ReserveAnswer = Reservation | KeyUnseen | KeyUnknown | FailedOpen
