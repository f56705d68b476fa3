"""The two sides of the bill: what the provider says it served, and what our ledger says of it."""

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import psycopg
from psycopg.rows import class_row

from shared.core.money import NANOS_PER_DOLLAR

READ_LINES = """
    select generation_id, account_id, provider, (quantities).input_tokens, (quantities).cached_input_tokens,
           (quantities).output_tokens, usage_source, cost_nanos, charged_nanos, shortfall_nanos,
           provider_cost_nanos + cost_excess_nanos as provider_nanos, waived_reason, is_late, upstream_id
      from gateway.usage_lines where account_id = any(%s)
"""
READ_HOLDS = (
    "select id, account_id, state, created_at, expires_at, ended_at from gateway.holds where account_id = any(%s)"
)
READ_NEGATIVE = """
    select (select count(*) from gateway.wallets
             where account_id = any(%(ids)s) and (posted_nanos < 0 or owed_nanos < 0))
         + (select count(*) from gateway.lots where account_id = any(%(ids)s) and remaining_nanos < 0)
"""


@dataclass(frozen=True, slots=True)
class Served:
    """One request as the provider bills it; key is the asker's own, ended_at None while it is still being served.

    is_failed: the provider itself broke off an answer that was to be one piece: nobody got anything
    broke_off: the provider itself broke off any answer; hides_usage: its script has it say nothing of what it charges
    """

    id: str
    key: str
    provider: str
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    cost_nanos: int
    sent_bytes: int
    started_at: float
    ended_at: float | None
    is_failed: bool = False
    is_finished: bool = True
    broke_off: bool = False
    hides_usage: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """One usage line; provider_nanos is everything that is booked for the provider."""

    generation_id: uuid.UUID
    account_id: int
    provider: str | None
    input_tokens: int
    cached_input_tokens: int
    output_tokens: int
    usage_source: str
    cost_nanos: int
    charged_nanos: int
    shortfall_nanos: int
    provider_nanos: int
    waived_reason: str | None
    is_late: bool
    upstream_id: str | None


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold."""

    id: uuid.UUID
    account_id: int
    state: str
    created_at: datetime
    expires_at: datetime
    ended_at: datetime | None


@dataclass(frozen=True, slots=True)
class Lease:
    """One place that a request takes of its account's; lapses_at: seconds since the epoch."""

    account_id: int
    lapses_at: float


@dataclass(frozen=True, slots=True)
class Books:
    """What the ledger says of some accounts, in one snapshot."""

    lines: Sequence[Line]
    holds: Sequence[Hold]
    negative_balances: int

    def is_at_rest(self, late: Iterable[uuid.UUID]) -> bool:
        """Say whether no hold is open, and nothing on the late list is still to be settled."""
        return all(hold.state != "held" for hold in self.holds) and not self.unsettled(late)

    def unsettled(self, late: Iterable[uuid.UUID]) -> set[uuid.UUID]:
        """Return our requests on the late list that are not settled; the rest are notes that nobody took down."""
        ours = {hold.id for hold in self.holds}
        return (ours & set(late)) - {line.generation_id for line in self.lines}


def read_served(record: dict[str, Any]) -> Served:
    """Read one record of the simulator's log."""
    return Served(
        id=record["id"],
        key=record["script"].get("key", ""),
        provider=record["provider"],
        prompt_tokens=record["prompt_tokens"],
        cached_tokens=record["cached_tokens"],
        completion_tokens=record["completion_tokens"],
        cost_nanos=_whole_nanos(record["cost"]),
        sent_bytes=len(" ".join(f"tok{number}" for number in range(record["tokens_sent"]))),
        started_at=record["started_at"],
        ended_at=record["ended_at"],
        is_failed=not (record["stream"] or record["finished"] or record["client_left"]),
        is_finished=record["finished"],
        broke_off=not (record["finished"] or record["client_left"]),
        hides_usage=record["script"].get("usage", "normal") != "normal",
    )


def read_books(database_url: str, account_ids: list[int]) -> Books:
    """Read the lines, holds and balances of some accounts."""
    with psycopg.connect(database_url) as session:
        session.execute("set transaction isolation level repeatable read read only")
        lines = session.cursor(row_factory=class_row(Line)).execute(READ_LINES, (account_ids,)).fetchall()
        holds = session.cursor(row_factory=class_row(Hold)).execute(READ_HOLDS, (account_ids,)).fetchall()
        row = session.execute(READ_NEGATIVE, {"ids": account_ids}).fetchone()
    assert row is not None
    return Books(lines, holds, row[0])


def _whole_nanos(dollars: str) -> int:
    nanos = Decimal(dollars) * NANOS_PER_DOLLAR
    assert nanos == int(nanos), f"the simulator bills a part of a nano-dollar: {dollars}"
    return int(nanos)
