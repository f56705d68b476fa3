"""Applies infra/supabase/migrations in order and keeps the record that the supabase command line keeps.

python -m infra.local.migrate --database-url URL
"""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import psycopg

from infra.local.processes import StackError

SUPABASE_FOLDER = Path(__file__).parents[1] / "supabase"
MIGRATIONS_FOLDER = SUPABASE_FOLDER / "migrations"
SEED_FILE = SUPABASE_FOLDER / "seed.sql"
FILE_NAME = re.compile(r"(?P<version>\d{14})_(?P<name>[a-z0-9_]+)\.sql")

# Any number, as long as all who migrate take the same: two starts at once apply one after the other.
MIGRATION_LOCK = 7_126_320_001
HISTORY = b"""
    create schema if not exists supabase_migrations;
    create table if not exists supabase_migrations.schema_migrations
        (version text not null primary key, statements text[], name text);
"""


@dataclass(frozen=True, slots=True)
class Migration:
    """One file of the migrations folder."""

    version: str
    name: str
    text: str


def read_migrations(folder: Path = MIGRATIONS_FOLDER) -> list[Migration]:
    """Return the migrations in the order of their versions.

    raises  StackError for a file that is not named <14 digits>_<name>.sql, or a version that two files have
    """
    migrations: list[Migration] = []
    for path in sorted(folder.glob("*.sql")):
        parts = FILE_NAME.fullmatch(path.name)
        if parts is None:
            raise StackError(f"{path.name} is not named <14 digits>_<name>.sql")
        migrations.append(Migration(parts["version"], parts["name"], path.read_text()))
    versions = [migration.version for migration in migrations]
    if len(set(versions)) != len(versions):
        raise StackError(f"two migrations in {folder.name} have the same version")
    return migrations


def apply_migrations(database_url: str, folder: Path = MIGRATIONS_FOLDER) -> list[str]:
    """Apply what is not applied yet, each in one transaction with its record; return the versions applied.

    raises  StackError when a file fails, or when the database knows a version that the folder lacks
    """
    migrations = read_migrations(folder)
    with psycopg.connect(database_url, autocommit=True) as session:
        session.execute("select pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        session.execute(HISTORY)
        rows = session.execute("select version from supabase_migrations.schema_migrations").fetchall()
        applied = {str(row[0]) for row in rows}
        missing = sorted(applied - {migration.version for migration in migrations})
        if missing:
            raise StackError(f"the database has migrations that the folder lacks: {', '.join(missing)}")
        pending = [migration for migration in migrations if migration.version not in applied]
        for migration in pending:
            _apply(session, migration)
        session.execute("notify pgrst, 'reload schema'")
    return [migration.version for migration in pending]


def apply_seed(database_url: str, path: Path = SEED_FILE) -> None:
    """Run the seed, which may be run again at any time.

    raises  StackError when the seed fails
    """
    if not path.exists():
        return
    with psycopg.connect(database_url) as session:
        try:
            session.execute(path.read_bytes())
        except psycopg.Error as error:
            raise StackError(f"{path.name}: {error}") from error


def _apply(session: psycopg.Connection, migration: Migration) -> None:
    try:
        with session.transaction():
            session.execute(migration.text.encode())
            session.execute(
                "insert into supabase_migrations.schema_migrations (version, statements, name) values (%s, %s, %s)",
                (migration.version, [migration.text], migration.name),
            )
    except psycopg.Error as error:
        raise StackError(f"{migration.version}_{migration.name}.sql: {error}") from error


def main() -> None:
    """Apply the migrations to the database of the command line."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--database-url", required=True)
    applied = apply_migrations(parser.parse_args().database_url)
    print(f"applied: {', '.join(applied) or 'nothing, all was there'}")


if __name__ == "__main__":
    main()
