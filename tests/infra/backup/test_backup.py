"""A backup of books that requests have written is restored whole and adds up; what is wrong with one is told."""

import json
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from infra.backup.__main__ import main
from infra.backup.scratch import scratch_database
from infra.local.migrate import apply_migrations, apply_seed
from infra.local.stack import LocalStack
from tests.functions.chat.client import ask
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenants

MAY_CALL = "select has_function_privilege('anon', 'api.made_later()', 'execute')"


@pytest.fixture(scope="module")
def gateway(untouched_stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(untouched_stack)
    try:
        yield gateways()
    finally:
        gateways.stop_all()


@pytest.fixture
async def saved(untouched_stack: LocalStack, gateway: RunningGateway, tmp_path: Path) -> Path:
    stack = untouched_stack
    customer = Tenants(stack.database_url, stack.credentials.gateway_secret)()
    model = Models(stack.database_url)("tokens=5")
    for _ in range(3):
        assert (await ask(gateway, customer, model)).status == 200
    file = tmp_path / "gateway.dump"
    assert main(["save", str(file), "--database-url", stack.database_url]) == 0
    return file


@pytest.fixture
def empty() -> Iterator[str]:
    with scratch_database() as url:
        yield url


def test_a_backup_is_restored_with_every_row_and_grant_and_its_books_add_up(
    saved: Path, empty: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = json.loads(saved.with_name("gateway.dump.json").read_text())["tables"]
    assert rows["gateway.usage_lines"][0] >= 3
    assert main(["restore", str(saved), "--database-url", empty]) == 0
    told = capsys.readouterr().out
    assert "restored and compared" in told and "broken_rule" not in told
    with psycopg.connect(empty) as session:
        counted = session.execute("select count(*) from gateway.usage_lines").fetchone()
        # What a later migration makes is as closed as before.
        session.execute("create function api.made_later() returns int language sql as 'select 1'")
        may_call = session.execute(MAY_CALL).fetchone()
        session.rollback()
    assert (counted, may_call) == ((rows["gateway.usage_lines"][0],), (False,))
    assert apply_migrations(empty) == []
    apply_seed(empty)


def test_only_its_owner_may_read_a_backup_and_none_is_written_over(saved: Path, untouched_stack: LocalStack) -> None:
    assert {path.stat().st_mode & 0o777 for path in (saved, saved.with_name("gateway.dump.json"))} == {0o600}
    before = saved.read_bytes()
    assert main(["save", str(saved), "--database-url", untouched_stack.database_url]) == 1
    assert saved.read_bytes() == before


def test_a_list_that_others_may_read_is_not_written_into(
    untouched_stack: LocalStack, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "gateway.dump"
    left_behind = tmp_path / "gateway.dump.json"
    left_behind.write_text("{}")
    left_behind.chmod(0o644)
    assert main(["save", str(file), "--database-url", untouched_stack.database_url]) == 1
    assert f"{left_behind} is there already" in capsys.readouterr().err
    assert (left_behind.read_text(), file.exists()) == ("{}", False)


def test_a_gateway_s_database_is_not_restored_over(
    saved: Path, untouched_stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["restore", str(saved), "--database-url", untouched_stack.database_url]) == 1
    assert "has a gateway's schemas already" in capsys.readouterr().err


def test_a_drill_needs_no_other_database_and_finds_what_is_not_in_the_backup(
    saved: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["drill", str(saved)]) == 0
    listed = saved.with_name("gateway.dump.json")
    contents = json.loads(listed.read_text())
    contents["tables"]["gateway.usage_lines"][0] += 1
    contents["tables"]["gateway.wallets"][1] = "0"
    listed.write_text(json.dumps(contents))
    capsys.readouterr()
    assert main(["drill", str(saved)]) == 1
    told = capsys.readouterr().err
    assert "gateway.usage_lines" in told and "gateway.wallets" in told


def test_a_drill_finds_books_that_did_not_add_up_when_they_were_saved(
    empty: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    apply_migrations(empty)
    apply_seed(empty)
    with psycopg.connect(empty, autocommit=True) as session:
        session.execute("select api.create_account('someone', 'free')")
        session.execute("update gateway.wallets set posted_nanos = posted_nanos + 1")
    file = tmp_path / "broken.dump"
    assert main(["save", str(file), "--database-url", empty]) == 0
    assert main(["drill", str(file)]) == 1
    assert "broken_rule" in capsys.readouterr().out


def test_a_cut_backup_is_not_restored(saved: Path, capsys: pytest.CaptureFixture[str]) -> None:
    saved.write_bytes(saved.read_bytes()[: saved.stat().st_size // 2])
    assert main(["drill", str(saved)]) == 1
    assert "pg_restore failed" in capsys.readouterr().err
