"""The migration step of docs/deployment.md: Supabase's own command line applies what our migrator applies."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.local.binaries import find_binary
from infra.local.credentials import load_or_create_credentials
from infra.local.migrate import MIGRATIONS_FOLDER, read_migrations
from infra.local.ports import choose_free_ports
from infra.local.postgres import bootstrap_cluster, database_url, postgres_service, prepare_cluster
from infra.local.processes import Processes
from infra.local.stack import ROOT

BUNDLED = ROOT / "infra" / "deploy" / "node_modules" / "@supabase" / "cli-linux-x64" / "bin" / "supabase"
WITHIN_S = 120


@pytest.fixture
def bare_database(tmp_path: Path) -> Iterator[str]:
    """A PostgreSQL as Supabase hands one over: its roles and default privileges, and nothing of ours."""
    tmp_path.chmod(0o755)
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    credentials = load_or_create_credentials(tmp_path / "credentials.json")
    (port,) = choose_free_ports(1)
    processes = Processes(tmp_path / "run", tmp_path / "logs")
    folder = tmp_path / "postgres"
    prepare_cluster(folder, credentials, keeps_data=False)
    try:
        processes.start(postgres_service(folder, port, credentials, keeps_data=False))
        processes.wait_ready("postgres")
        bootstrap_cluster(folder, port, credentials)
        yield database_url("postgres", credentials.postgres_password, port)
    finally:
        processes.stop("postgres")


def push(database: str, home: Path) -> str:
    command = (
        find_binary("supabase", BUNDLED),
        "db",
        "push",
        "--workdir",
        "infra",
        "--db-url",
        f"{database}?sslmode=disable",
        "--include-seed",
    )
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "SUPABASE_TELEMETRY_DISABLED": "1",
        "DO_NOT_TRACK": "1",
    }
    result = subprocess.run(
        (*command, "--yes"), cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert result.returncode == 0, result.stderr
    return result.stdout + result.stderr


def read(database: str, statement: str) -> list[tuple[object, ...]]:
    with psycopg.connect(database) as session:
        return session.execute(statement.encode()).fetchall()


def test_supabase_applies_every_migration_and_the_seed_once(bare_database: str, tmp_path: Path) -> None:
    push(bare_database, tmp_path)
    applied = read(bare_database, "select version from supabase_migrations.schema_migrations order by version")
    assert [version for (version,) in applied] == [each.version for each in read_migrations(MIGRATIONS_FOLDER)]
    assert read(bare_database, "select count(*) > 0 from gateway.plans") == [(True,)]
    assert read(bare_database, "select api.check_books()") == [([],)]
    assert "up to date" in push(bare_database, tmp_path)
