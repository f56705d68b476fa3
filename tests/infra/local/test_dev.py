import json
import os
import re
import shlex
import signal
import subprocess
import time
from pathlib import Path

import pytest

from infra.local.ports import accepts_connections, choose_free_ports
from infra.local.process_records import started_at
from infra.local.stack import LocalStack
from tests.harness.dev import Dev, running_dev

READY_WITHIN_S = 30.0
INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")


def _wait_until_gone(pids: list[int]) -> None:
    deadline_s = time.monotonic() + 10
    while alive := [pid for pid in pids if started_at(pid) is not None]:
        assert time.monotonic() < deadline_s, f"still running: {alive}"
        time.sleep(0.05)


def test_the_printed_curls_stream_a_completion_and_sign_in_and_ctrl_c_leaves_no_process(tmp_path: Path) -> None:
    with running_dev(tmp_path / "data") as dev:
        line, sign_in = re.findall(r"^curl .*$", dev.output, re.MULTILINE)
        answer = subprocess.run(shlex.split(line), capture_output=True, text=True, timeout=30, check=True).stdout
        assert answer.rstrip().endswith("data: [DONE]")
        assert dev.variables["GATEWAY_URL"] == f"http://127.0.0.1:{dev.port}"
        assert dev.variables["GATEWAY_API_KEY"] in line
        welcome = subprocess.run(("sh", "-c", sign_in), capture_output=True, text=True, timeout=30, check=True).stdout
        assert json.loads(welcome)["user"]["email"] == "ada@example.com"
        assert json.loads(welcome)["api_key"].startswith("gw_live_")
        pids = dev.pids()
        assert len(pids) == 11
        dev.process.send_signal(signal.SIGINT)
        assert dev.process.wait(15) == 0
        assert [pid for pid in pids if started_at(pid)] == []
        assert not accepts_connections(dev.port)


def test_a_second_start_keeps_the_demo_key_and_a_second_one_beside_it_is_refused(tmp_path: Path) -> None:
    with running_dev(tmp_path / "data") as first:
        (key,) = re.findall(r"gw_dev_\w+", first.output)
        (port,) = choose_free_ports(1)
        beside = Dev(tmp_path / "data", port)
        assert beside.process.wait(15) == 1
        assert f"already running in this checkout (process {first.process.pid})" in beside.output
        assert "GATEWAY_API_KEY=" in (tmp_path / "data" / "dev.env").read_text()
    with running_dev(tmp_path / "data") as second:
        assert re.findall(r"gw_dev_\w+", second.output) == [key]


def test_a_killed_dev_leaves_nothing_that_hinders_the_next_start(tmp_path: Path) -> None:
    with running_dev(tmp_path / "data") as dev:
        pids = dev.pids()
        dev.process.kill()
        dev.process.wait()
    with running_dev(tmp_path / "data") as again:
        _wait_until_gone(pids)
        assert len(again.pids()) == 11


def test_a_store_that_dies_is_reported_by_name_and_brings_everything_down(tmp_path: Path) -> None:
    with running_dev(tmp_path / "data") as dev:
        pids = dev.pids()
        record = json.loads((dev.folder / "dev" / "run" / "postgrest.json").read_text())
        os.kill(record["pid"], signal.SIGKILL)
        assert dev.process.wait(15) == 1
        assert "postgrest ended by itself (exit status -9)." in dev.output
        assert "Schema cache loaded" in dev.output
        assert [pid for pid in pids if started_at(pid)] == []


def test_a_taken_port_is_named(tmp_path: Path, stack: LocalStack) -> None:
    taken = stack.ports.front
    dev = Dev(tmp_path / "data", taken)
    assert dev.process.wait(15) == 1
    assert f"port {taken} is taken" in dev.output


@pytest.mark.parametrize("port", ["0", "-1", "65536", "http", "\uff18\uff10"])
def test_a_port_that_cannot_be_is_refused(tmp_path: Path, port: str) -> None:
    dev = Dev(tmp_path / "data", 0, PORT=port)
    assert dev.process.wait(15) == 1
    assert "PORT must be a number from 1 to 65535" in dev.output


def test_a_function_that_refuses_its_settings_is_reported_and_nothing_is_left(tmp_path: Path) -> None:
    (port,) = choose_free_ports(1)
    dev = Dev(tmp_path / "data", port, FUNCTION_TIME_LIMIT_S="soon")
    assert dev.process.wait(READY_WITHIN_S) == 1
    assert "FUNCTION_TIME_LIMIT_S" in dev.output
    assert "gateway ended by itself" in dev.output
    assert dev.pids() == []
