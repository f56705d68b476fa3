"""What the checker finds in a database: read in one snapshot, without writing."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import psycopg
from psycopg.rows import class_row

STATEMENT = Path(__file__).with_name("findings.sql")
CONNECT_WITHIN_S = 10
# A ledger of millions of lines is read from end to end.
READ_WITHIN_S = 600
# Two rounds of the sweep, which comes each minute.
STUCK_AFTER_S = 120
SHOWN_PER_KIND = 100
SNAPSHOT = "begin isolation level repeatable read read only"


class Kind(StrEnum):
    """What a finding is."""

    BROKEN_RULE = "broken_rule"
    STUCK_HOLD = "stuck_hold"
    DEAD_LETTER = "dead_letter"
    UNSETTLED_HOLD = "unsettled_hold"

    @property
    def is_fault(self) -> bool:
        """Whether somebody has to act; a hold that ended unsettled is a loss of the house, booked to nobody."""
        return self is not Kind.UNSETTLED_HOLD


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found; total counts all of its kind, those that are not shown included."""

    kind: str
    what: str
    subject: str
    at: datetime | None
    total: int

    @property
    def is_fault(self) -> bool:
        """Whether it makes the check fail."""
        return Kind(self.kind).is_fault


def read_findings(
    database_url: str, *, stuck_after_s: int = STUCK_AFTER_S, limit: int = SHOWN_PER_KIND
) -> list[Finding]:
    """Return what is wrong or waits for somebody, the newest of each kind.

    units   stuck_after_s: for how long a hold may outlive its time before it counts as stuck
    raises  psycopg.Error: no such database, or one without our migrations
    """
    with psycopg.connect(database_url, autocommit=True, connect_timeout=CONNECT_WITHIN_S) as session:
        session.execute(f"set statement_timeout = '{READ_WITHIN_S}s'".encode())
        session.execute(SNAPSHOT)
        cursor = session.cursor(row_factory=class_row(Finding))
        found = cursor.execute(STATEMENT.read_bytes(), {"grace_s": stuck_after_s, "limit": limit}).fetchall()
        session.execute("rollback")
    return found
