from pathlib import Path

import pytest

from infra.local.check import find_environment_readers, find_newer_sql


def _write(root: Path, name: str, text: str) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_text(text)


@pytest.mark.parametrize("line", ["x = os.environ['A']", "x = os.getenv('A')", "from os import environ"])
def test_whoever_reads_the_environment_outside_settings_is_named(tmp_path: Path, line: str) -> None:
    _write(tmp_path, "shared/core/settings.py", line)
    _write(tmp_path, "shared/ledger/store.py", f"import os\n{line}\n")
    assert find_environment_readers(tmp_path) == ["shared/ledger/store.py:2 reads the environment"]


@pytest.mark.parametrize(
    "text",
    [
        "select uuidv7 ();",
        "create table t (a int, b int generated always as (a) virtual);",
        "update t set a = 1 returning old.a;",
        "update t set a = 1 returning a, new.a;",
    ],
)
def test_sql_that_only_a_newer_postgres_knows_is_named(tmp_path: Path, text: str) -> None:
    _write(tmp_path, "migrations/1.sql", text)
    assert len(find_newer_sql(tmp_path)) == 1


@pytest.mark.parametrize(
    "text",
    [
        "-- no virtual columns, no uuidv7()",
        "insert into t (note) values ('virtual');",
        "update t set a = 1 returning a; select old.a from old;",
        "create trigger c after update on t referencing old table as old for each row execute function f();",
    ],
)
def test_sql_that_both_know_passes(tmp_path: Path, text: str) -> None:
    _write(tmp_path, "migrations/1.sql", text)
    assert find_newer_sql(tmp_path) == []
