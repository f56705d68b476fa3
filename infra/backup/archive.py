"""pg_dump and pg_restore around what must be in a backup: one snapshot, and nothing restored over anything."""

import subprocess
from collections.abc import Sequence
from pathlib import Path

import msgspec
import psycopg
from psycopg.conninfo import conninfo_to_dict

from infra.backup.contents import SCHEMAS, SESSION, Contents, read_contents
from infra.local.postgres import postgres_binary
from infra.local.processes import inherited_environment

CONNECT_WITHIN_S = 10
RUN_WITHIN_S = 6 * 3600
SNAPSHOT = b"begin isolation level repeatable read read only"
IS_TAKEN = b"select 1 from pg_catalog.pg_namespace where nspname = any(%s) limit 1"
# Which functions a later migration opens to whom stands beside the schemas, not in them: the first migration says it.
DEFAULTS = b"alter default privileges revoke execute on functions from public"


class BackupFailed(Exception):
    """The backup was not made, or is not what it should be; the message says why."""


def save(file: Path, database_url: str) -> Contents:
    """Write the backup, and beside it FILE.json with what it has to hold, both of one moment.

    raises  BackupFailed, psycopg.Error
    """
    for path in (file, _list_of(file)):
        if path.exists():
            raise BackupFailed(f"{path} is there already; name another file, or move it away")
    with _session(database_url) as session:
        session.execute(SNAPSHOT)
        row = session.execute(b"select pg_export_snapshot()").fetchone()
        assert row is not None
        # It holds addresses and chats of people.
        for path in (file, _list_of(file)):
            path.touch(mode=0o600, exist_ok=False)
        options = [f"--snapshot={row[0]}", "--format=custom", "--no-owner", f"--file={file}"]
        try:
            _run("pg_dump", [*options, *(f"--schema={schema}" for schema in SCHEMAS)], database_url)
        except BackupFailed:
            for path in (file, _list_of(file)):
                path.unlink()
            raise
        contents = read_contents(session)
        session.execute(b"rollback")
    _list_of(file).write_bytes(msgspec.json.encode(contents))
    return contents


def restore(file: Path, database_url: str) -> Contents:
    """Restore into a database that has nothing of the gateway's yet, whole or not at all, and compare.

    raises  BackupFailed when something is there already, is missing, or is different; psycopg.Error
    """
    try:
        expected = msgspec.json.decode(_list_of(file).read_bytes(), type=Contents)
    except (OSError, msgspec.DecodeError) as error:
        raise BackupFailed(f"{_list_of(file)} does not say what the backup holds: {error}") from error
    with _session(database_url) as session:
        if session.execute(IS_TAKEN, (list(SCHEMAS),)).fetchone() is not None:
            raise BackupFailed("the database has a gateway's schemas already; restore into a new project")
        session.execute(DEFAULTS)
    _run("pg_restore", ["--no-owner", "--single-transaction", "--exit-on-error", str(file)], database_url)
    with _session(database_url) as session:
        found = read_contents(session)
    if different := expected.differences(found):
        raise BackupFailed("what was restored is not what was saved:\n  " + "\n  ".join(different))
    return found


def _session(database_url: str) -> psycopg.Connection[tuple[object, ...]]:
    session = psycopg.connect(database_url, autocommit=True, connect_timeout=CONNECT_WITHIN_S)
    session.execute(SESSION)
    return session


def _run(program: str, options: Sequence[str], database_url: str) -> None:
    """Run one of PostgreSQL's programs; the database stands in its environment, since everybody sees arguments."""
    named = conninfo_to_dict(database_url)
    renamed = {"dbname": "PGDATABASE", "sslmode": "PGSSLMODE", "connect_timeout": "PGCONNECT_TIMEOUT"}
    variables = {renamed.get(name, f"PG{name.upper()}"): str(value) for name, value in named.items()}
    # pg_restore writes a script where it is told no database.
    target = [f"--dbname={named['dbname']}"] if program == "pg_restore" else []
    finished = subprocess.run(
        (str(postgres_binary(program)), "--no-password", *target, *options),
        env={**inherited_environment(), **variables},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=RUN_WITHIN_S,
        check=False,
    )
    if finished.returncode != 0:
        raise BackupFailed(f"{program} failed:\n{finished.stderr}")


def _list_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")
