"""What the books say of one account, read beside the gateway."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import psycopg
from psycopg.rows import dict_row

READ_HOLDS = """
    select id::text, state, amount_nanos, created_at, expires_at from gateway.holds
     where account_id = %s order by created_at
"""
READ_USAGE_LINES = """
    select generation_id::text, cost_nanos, charged_nanos, shortfall_nanos, usage_source, outcome, is_stream,
           (quantities).output_tokens as output_tokens
      from gateway.usage_lines where account_id = %s order by created_at
"""
READ_COUNTED_REQUESTS = """
    select (select coalesce(sum(requests_used), 0)::int from gateway.api_keys as key
             where key.account_id = quota.account_id) as by_keys,
           quota.day_requests::int as in_day, quota.month_requests::int as in_month
      from gateway.quota_usage as quota where quota.account_id = %s
"""
END_HOLDS = """
    update gateway.holds set expires_at = clock_timestamp() - interval '1 second'
     where account_id = %s and state = 'held'
"""
READ_LOWEST_LOT = "select coalesce(min(remaining_nanos), 0) as lowest from gateway.lots where account_id = %s"
CHECK_BOOKS = "select api.check_books(%s) as broken_rules"
EXPIRE_HOLDS = "select api.expire_holds() as answer"


@dataclass(frozen=True, slots=True)
class HoldRow:
    """One hold."""

    id: str
    state: str
    amount_nanos: int
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class UsageRow:
    """One settled request."""

    generation_id: str
    cost_nanos: int
    charged_nanos: int
    shortfall_nanos: int
    usage_source: str
    outcome: str
    is_stream: bool
    output_tokens: int


@dataclass(frozen=True, slots=True)
class CountedRequests:
    """The requests that count against the limits of an account's keys and its plan's day and month."""

    by_keys: int
    in_day: int
    in_month: int


@dataclass(frozen=True, slots=True)
class AccountBooks:
    """One account in the ledger's own tables."""

    database_url: str
    account_id: int

    def holds(self, state: str | None = None) -> list[HoldRow]:
        """Return its holds, oldest first."""
        holds = [HoldRow(**row) for row in self._read(READ_HOLDS)]
        return [hold for hold in holds if state in (None, hold.state)]

    def usage_lines(self) -> list[UsageRow]:
        """Return what it was charged for, oldest first."""
        return [UsageRow(**row) for row in self._read(READ_USAGE_LINES)]

    def counted_requests(self) -> CountedRequests:
        """Return what its limits have counted."""
        return CountedRequests(**self._read(READ_COUNTED_REQUESTS)[0])

    def lowest_lot_nanos(self) -> int:
        """Return what is left in its emptiest lot."""
        return int(self._read(READ_LOWEST_LOT)[0]["lowest"])

    def broken_rules(self) -> list[dict[str, str]]:
        """Return what does not balance."""
        return list(self._read(CHECK_BOOKS)[0]["broken_rules"])

    def make_holds_overdue(self) -> None:
        """Let the time of its live holds be over."""
        with psycopg.connect(self.database_url, autocommit=True) as session:
            session.execute(END_HOLDS.encode(), (self.account_id,))

    def end_holds(self) -> None:
        """Let the time of its live holds be over, and have the sweep come by."""
        self.make_holds_overdue()
        with psycopg.connect(self.database_url, autocommit=True) as session:
            session.execute(EXPIRE_HOLDS.encode())

    def _read(self, statement: str) -> list[dict[str, Any]]:
        with psycopg.connect(self.database_url, autocommit=True, row_factory=dict_row) as session:
            return session.execute(statement.encode(), (self.account_id,)).fetchall()
