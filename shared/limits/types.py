"""What the limiter is asked and what it answers."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Literal, assert_never

import msgspec

from shared.core.ids import AccountId, KeyId


class Allowance(msgspec.Struct, frozen=True):
    """One limit at one moment; reset_ms is the time until all of it is free again."""

    limit: int
    remaining: int
    reset_ms: int


class RateState(msgspec.Struct, frozen=True):
    """Where a caller stands: for each measure the tighter of key and account, None where neither has a limit."""

    requests: Allowance | None
    tokens: Allowance | None


class Measure(StrEnum):
    """What a limit counts."""

    REQUESTS = "requests"
    TOKENS = "tokens"
    CONCURRENCY = "concurrency"


# The lease of a request that is over as soon as it is answered: it counts among a minute's requests, takes no place
# among those under way, and has nothing to give back.
NO_LEASE = ""

# Whose limit it is.
Subject = Literal["key", "account", "address"]


class Reservation(msgspec.Struct, frozen=True):
    """A request that the limiter let through: what is to be given back when it ends.

    key is the fingerprint that was presented; bucket is the stretch of time in which the tokens were counted;
    account_id and key_id are None where Redis alone knows them.
    """

    lease_id: str
    account_id: AccountId | None
    key_id: KeyId | None
    key: str
    bucket: int
    tokens: int
    state: RateState


class KeyUnseen(msgspec.Struct, frozen=True):
    """Nobody has used this key within the hour: admission says whether it exists and what its limits are.

    change: marks the key's last change, if it is a few seconds old; what admission says holds until there is another
    """

    change: str = ""


class KeyUnknown(msgspec.Struct, frozen=True):
    """Admission said within the last minute that no such key exists."""


@dataclass(frozen=True, slots=True)
class FailedOpen:
    """Redis did not answer; the request goes on, held only by this instance's own count.

    possible: what Redis may have reserved all the same when its answer came too late; None when it was not asked.
    """

    possible: Reservation | None = field(default=None, compare=False)


ReserveAnswer = Reservation | KeyUnseen | KeyUnknown | FailedOpen


def to_give_back(answer: ReserveAnswer) -> Reservation | None:
    """Return what has to be released when the request ends: what was reserved, or what may have been."""
    match answer:
        case Reservation():
            return answer if answer.lease_id != NO_LEASE else None
        case FailedOpen():
            return answer.possible
        case KeyUnseen() | KeyUnknown():
            return None
        case _:
            assert_never(answer)
