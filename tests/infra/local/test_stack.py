import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psycopg
import pytest

from infra.local.ports import answers_http, post_json
from infra.local.process_records import started_at
from infra.local.processes import StackError
from infra.local.stack import ROOT, LocalStack

SUPERVISOR = """
import sys, time
from pathlib import Path
from infra.local.stack import LocalStack
stack = LocalStack(Path(sys.argv[1]), keeps_data=True)
stack.start()
print("ready", flush=True)
time.sleep(600)
"""


def _recorded_pids(folder: Path) -> dict[str, int]:
    return {path.stem: json.loads(path.read_text())["pid"] for path in (folder / "run").glob("*.json")}


def _wait_until_gone(pids: list[int], within_s: float = 10.0) -> None:
    deadline_s = time.monotonic() + within_s
    while alive := [pid for pid in pids if started_at(pid) is not None]:
        assert time.monotonic() < deadline_s, f"still running: {alive}"
        time.sleep(0.05)


def _start_supervisor(folder: Path) -> subprocess.Popen[str]:
    command = (sys.executable, "-c", SUPERVISOR, str(folder))
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.stdout.close()
    return process


def test_two_stacks_run_side_by_side_and_do_not_know_each_other(stack: LocalStack, tmp_path: Path) -> None:
    other = LocalStack(tmp_path, keeps_data=False)
    try:
        other.start()
        assert not set(_recorded_pids(tmp_path).values()) & {stack.processes.pid(n) for n in stack.processes.names()}
        headers = {"apikey": stack.credentials.secret_key}
        assert post_json(other.ports.front, "/rest/v1/rpc/read_balance", b"{}", headers)[0] == 401
        assert other.database_url != stack.database_url
    finally:
        other.stop()


def test_a_second_start_in_the_same_folder_is_refused(tmp_path: Path) -> None:
    first, second = (LocalStack(tmp_path, keeps_data=True) for _ in range(2))
    first.take_folder()
    with pytest.raises(StackError, match=f"already running in this checkout .process {os.getpid()}."):
        second.take_folder()
    first.stop()
    second.take_folder()
    second.stop()


def test_stop_leaves_no_process_and_a_second_start_finds_the_data(tmp_path: Path) -> None:
    first = LocalStack(tmp_path, keeps_data=True)
    try:
        first.start()
        with psycopg.connect(first.database_url) as session:
            session.execute("create table public.kept (n int)")
        pids = list(_recorded_pids(tmp_path).values())
    finally:
        first.stop()
    assert len(pids) == 9
    assert [pid for pid in pids if started_at(pid)] == []
    second = LocalStack(tmp_path, keeps_data=True)
    try:
        second.start()
        with psycopg.connect(second.database_url) as session:
            row = session.execute("select to_regclass('public.kept') is not null").fetchone()
    finally:
        second.stop()
    assert row == (True,)
    assert second.credentials == first.credentials
    assert second.privy_key.jwk == first.privy_key.jwk


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux ends children with their parent")
def test_a_killed_supervisor_takes_its_programs_with_it_and_the_next_start_works(tmp_path: Path) -> None:
    supervisor = _start_supervisor(tmp_path)
    pids = list(_recorded_pids(tmp_path).values())
    supervisor.kill()
    supervisor.wait()
    _wait_until_gone(pids)
    stack = LocalStack(tmp_path, keeps_data=True)
    try:
        stack.start()
        assert answers_http(stack.ports.postgrest_admin, "/ready")
    finally:
        stack.stop()


def test_what_a_killed_start_left_is_ended_by_the_next_start(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    orphan = subprocess.Popen(["sleep", "600"], start_new_session=True)
    bystander = subprocess.Popen(["sleep", "600"], start_new_session=True)
    records = {"redis": (orphan.pid, started_at(orphan.pid)), "postgres": (bystander.pid, "another time")}
    for name, (pid, start) in records.items():
        record = {"pid": pid, "started_at": start, "stop_signal": int(signal.SIGTERM)}
        (tmp_path / "run" / f"{name}.json").write_text(json.dumps(record))
    stack = LocalStack(tmp_path, keeps_data=True)
    try:
        stack.take_folder()
        assert orphan.wait(5) == -signal.SIGTERM
        assert bystander.poll() is None
    finally:
        stack.stop()
        bystander.kill()
        bystander.wait()


def test_a_program_that_dies_is_named_with_the_end_of_its_log(tmp_path: Path) -> None:
    stack = LocalStack(tmp_path, keeps_data=False)
    try:
        stack.start()
        assert stack.processes.dead() is None
        os.kill(stack.processes.pid("redis"), signal.SIGKILL)
        deadline_s = time.monotonic() + 5
        while (name := stack.processes.dead()) is None:
            assert time.monotonic() < deadline_s
        assert name == "redis"
        assert "redis ended by itself" in stack.processes.describe_end(name)
        assert "Ready to accept connections" in stack.processes.describe_end(name)
    finally:
        stack.stop()


@pytest.mark.parametrize("name", ["postgres", "postgrest", "redis", "redis-rest", "supabase-front", "privy-issuer"])
def test_a_store_can_go_away_and_come_back(stack: LocalStack, name: str) -> None:
    with stack.without(name):
        assert name not in stack.processes.names()
    headers = {"apikey": stack.credentials.secret_key}
    status, _ = post_json(stack.ports.front, "/rest/v1/rpc/read_balance", b'{"p_account_id": 0}', headers)
    assert status == 200
    token = {"Authorization": f"Bearer {stack.credentials.redis_token}"}
    assert post_json(stack.ports.redis_rest, "/", b'["PING"]', token) == (200, b'{"result":"PONG"}')


def test_the_rest_emulator_asks_for_the_token_everywhere(stack: LocalStack) -> None:
    assert post_json(stack.ports.redis_rest, "/", b'["PING"]', {})[0] == 401
    assert post_json(stack.ports.redis_rest, "/pipeline", b'[["PING"]]', {})[0] == 401
