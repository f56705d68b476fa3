from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from infra.local.migrate import MIGRATIONS_FOLDER, apply_migrations, apply_seed, read_migrations
from infra.local.processes import StackError
from infra.local.stack import LocalStack


@pytest.fixture
def empty_database(stack: LocalStack, request: pytest.FixtureRequest) -> Iterator[str]:
    """A database of its own beside the stack's, owned by the same role."""
    name = f"empty_{abs(hash(request.node.name))}"
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        session.execute(sql.SQL("create database {} owner postgres").format(sql.Identifier(name)))
    yield stack.database_url.removesuffix("/postgres") + f"/{name}"
    with psycopg.connect(stack.superuser_url, autocommit=True) as session:
        session.execute(sql.SQL("drop database {} with (force)").format(sql.Identifier(name)))


def _write(folder: Path, **files: str) -> Path:
    for name, text in files.items():
        (folder / f"{name.removeprefix('v')}.sql").write_text(text)
    return folder


def _snapshot(database_url: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database_url) as session:
        return session.execute("""
            select (select count(*) from gateway.models), (select count(*) from gateway.prices),
                   (select count(*) from gateway.provider_offers), (select count(*) from gateway.plans),
                   (select count(*) from pg_catalog.pg_class), (select count(*) from pg_catalog.pg_proc)
        """).fetchall()


def test_applying_migrations_and_seed_again_changes_nothing(stack: LocalStack) -> None:
    before = _snapshot(stack.database_url)
    assert apply_migrations(stack.database_url) == []
    apply_seed(stack.database_url)
    assert _snapshot(stack.database_url) == before


def test_every_migration_is_recorded_as_the_supabase_command_line_does(stack: LocalStack) -> None:
    with psycopg.connect(stack.database_url) as session:
        rows = session.execute(
            "select version, name, array_to_string(statements, '')"
            " from supabase_migrations.schema_migrations order by version"
        ).fetchall()
    expected = [(migration.version, migration.name, migration.text) for migration in read_migrations(MIGRATIONS_FOLDER)]
    assert rows == expected


def test_migrations_are_applied_in_order_and_only_once(empty_database: str, tmp_path: Path) -> None:
    _write(tmp_path, v20260101000000_first="create table public.t (n int);")
    assert apply_migrations(empty_database, tmp_path) == ["20260101000000"]
    _write(tmp_path, v20260102000000_second="insert into public.t values (1);")
    assert apply_migrations(empty_database, tmp_path) == ["20260102000000"]
    assert apply_migrations(empty_database, tmp_path) == []


def test_a_migration_that_fails_leaves_nothing_of_itself(empty_database: str, tmp_path: Path) -> None:
    _write(
        tmp_path,
        v20260101000000_first="create table public.t (n int);",
        v20260102000000_broken="create table public.u (n int); select 1/0;",
    )
    with pytest.raises(StackError, match=r"20260102000000_broken\.sql: division by zero"):
        apply_migrations(empty_database, tmp_path)
    with psycopg.connect(empty_database) as session:
        found = session.execute("select to_regclass('public.t') is null, to_regclass('public.u') is null").fetchone()
    assert found == (False, True)


def test_an_applied_migration_that_the_folder_lacks_is_refused(empty_database: str, tmp_path: Path) -> None:
    _write(tmp_path, v20260101000000_first="select 1;")
    apply_migrations(empty_database, tmp_path)
    (tmp_path / "20260101000000_first.sql").unlink()
    with pytest.raises(StackError, match="20260101000000"):
        apply_migrations(empty_database, tmp_path)


def test_a_misnamed_file_is_refused(tmp_path: Path) -> None:
    _write(tmp_path, v2026_first="select 1;")
    with pytest.raises(StackError, match=r"2026_first\.sql"):
        read_migrations(tmp_path)


def test_two_files_of_one_version_are_refused(tmp_path: Path) -> None:
    _write(tmp_path, v20260101000000_first="select 1;", v20260101000000_second="select 1;")
    with pytest.raises(StackError, match="same version"):
        read_migrations(tmp_path)
