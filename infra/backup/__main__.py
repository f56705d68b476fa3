"""Save the database, restore it elsewhere, or prove that a backup can be restored.

python -m infra.backup save FILE [--database-url URL]
python -m infra.backup drill FILE
python -m infra.backup restore FILE [--database-url URL]

`drill` restores into a PostgreSQL of its own, which it starts and throws away; production is not asked. Exit status 1
when something is missing or different, or the books do not add up.
"""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg

from infra.backup.archive import BackupFailed, restore, save
from infra.backup.contents import Contents
from infra.backup.scratch import scratch_database
from infra.ledger_check.__main__ import describe
from infra.ledger_check.findings import read_findings
from infra.local.processes import StackError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.backup", description=__doc__)
    parser.add_argument("command", choices=("save", "drill", "restore"))
    parser.add_argument("file", type=Path)
    parser.add_argument("--database-url", default=os.environ.get("DATABASE_URL"), help="default: DATABASE_URL")
    options = parser.parse_args(arguments)
    if options.command != "drill" and not options.database_url:
        parser.error("say which database: --database-url, or the variable DATABASE_URL")
    began_s = time.monotonic()
    try:
        is_right = _run(options.command, options.file, options.database_url)
    except (BackupFailed, StackError, psycopg.Error) as error:
        print(f"infra.backup: {error}", file=sys.stderr)
        return 1
    print(f"{options.command}: {time.monotonic() - began_s:.1f} s")
    return 0 if is_right else 1


def _run(command: str, file: Path, database_url: str) -> bool:
    if command == "save":
        contents = save(file, database_url)
        print(f"{file}: {file.stat().st_size:,} bytes, {contents.describe()}")
        return True
    if command == "restore":
        return _restore(file, database_url)
    with scratch_database() as url:
        return _restore(file, url)


def _restore(file: Path, database_url: str) -> bool:
    contents: Contents = restore(file, database_url)
    print(f"restored and compared: {contents.describe()}")
    found = read_findings(database_url)
    for line in describe(found):
        print(line)
    return not any(finding.is_fault for finding in found)


if __name__ == "__main__":
    sys.exit(main())
