"""Check the books of a database; exit status 1 when something in them is broken, stuck or given up.

python -m infra.ledger_check [--database-url URL]
"""

import argparse
import os
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby

import psycopg

from infra.ledger_check.findings import SHOWN_PER_KIND, STUCK_AFTER_S, Finding, read_findings

BROKEN, UNREADABLE = 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Print what was found and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.ledger_check", description=__doc__)
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: DATABASE_URL")
    parser.add_argument("--stuck-after-s", type=int, default=STUCK_AFTER_S, help="a hold may outlive its time so long")
    parser.add_argument("--limit", type=int, default=SHOWN_PER_KIND, help="how many of each kind are shown")
    options = parser.parse_args(arguments)
    if not options.database_url:
        parser.error("say which database: --database-url, or the variable DATABASE_URL")
    try:
        found = read_findings(options.database_url, stuck_after_s=options.stuck_after_s, limit=options.limit)
    except psycopg.Error as error:
        print(f"the books cannot be read: {error}", file=sys.stderr)
        return UNREADABLE
    for line in describe(found):
        print(line)
    return BROKEN if any(finding.is_fault for finding in found) else 0


def describe(found: Sequence[Finding]) -> Iterator[str]:
    """Yield the report's lines, a finding a line and what it comes to at the end."""
    totals: list[str] = []
    for kind, group in groupby(found, key=lambda finding: finding.kind):
        shown = list(group)
        for finding in shown:
            since = "" if finding.at is None else f" ({finding.at:%Y-%m-%d %H:%M:%S %Z})"
            yield f"{kind}  {finding.subject}  {finding.what}{since}"
        if shown[0].total > len(shown):
            yield f"{kind}  … and {shown[0].total - len(shown)} more"
        totals.append(f"{shown[0].total} {kind}")
    yield f"found: {', '.join(totals)}" if totals else "the books are right"


if __name__ == "__main__":
    sys.exit(main())
