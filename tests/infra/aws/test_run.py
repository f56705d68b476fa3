"""run.sh as Lambda runs it: from any folder, with the function's own variables and no others."""

import os
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path

import pytest

from infra.aws.template import ROOT, read_functions
from infra.local.ports import LOOPBACK, accepts_connections, choose_free_ports
from tests.infra.aws.test_settings_check import VARIABLES

RUN = ROOT / "infra" / "aws" / "run.sh"
WITHIN_S = 20.0
# source: pool_idle_timeout in https://github.com/aws/aws-lambda-web-adapter/blob/main/src/lib.rs
ADAPTER_KEEPS_A_CONNECTION_S = 4


def environment(port: int, **variables: str) -> dict[str, str]:
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "LAMBDA_TASK_ROOT": str(ROOT),
        "GROUP": "chat",
        "AWS_LWA_PORT": str(port),
        **variables,
    }


@contextmanager
def started(variables: Mapping[str, str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [str(RUN)], env=variables, cwd=folder, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    try:
        yield process
    finally:
        # The whole session: were the server a child of the script, it would outlive it.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate(timeout=WITHIN_S)


def wait_until_listening(port: int) -> None:
    deadline = time.monotonic() + WITHIN_S
    while not accepts_connections(port):
        assert time.monotonic() < deadline, "it does not listen"
        time.sleep(0.05)


def test_the_server_believes_no_proxy_listens_to_the_adapter_alone_and_outwaits_it() -> None:
    (line,) = (one for one in RUN.read_text().replace("\\\n", " ").splitlines() if one.startswith("exec "))
    words = shlex.split(line)
    assert {"--no-proxy-headers", "--no-server-header", "--no-access-log"} <= set(words)
    options = {name: value for name, value in pairwise(words) if name.startswith("--")}
    assert (options["--host"], options["--lifespan"]) == (LOOPBACK, "on")
    assert int(options["--timeout-keep-alive"]) > ADAPTER_KEEPS_A_CONNECTION_S


def test_the_function_serves_at_the_adapters_port_and_does_not_name_its_server(tmp_path: Path) -> None:
    (port,) = choose_free_ports(1)
    ready_path = read_functions()["chat"].environment["AWS_LWA_READINESS_CHECK_PATH"]
    with started(environment(port, **VARIABLES), tmp_path):
        wait_until_listening(port)
        with urllib.request.urlopen(f"http://{LOOPBACK}:{port}{ready_path}", timeout=5) as answer:
            assert answer.status == 200
            assert answer.headers["server"] is None


@pytest.mark.parametrize("missing", ["SUPABASE_URL", "SECRET_KEY"])
def test_a_function_that_lacks_a_variable_refuses_to_start_and_names_it(missing: str, tmp_path: Path) -> None:
    variables = {name: value for name, value in VARIABLES.items() if name != missing}
    with started(environment(choose_free_ports(1)[0], **variables), tmp_path) as process:
        _, errors = process.communicate(timeout=WITHIN_S)
    assert process.returncode != 0
    assert f"{missing} is not set" in errors


def test_without_a_group_nothing_starts(tmp_path: Path) -> None:
    with started(environment(choose_free_ports(1)[0], GROUP=""), tmp_path) as process:
        _, errors = process.communicate(timeout=WITHIN_S)
    assert process.returncode != 0
    assert "GROUP" in errors
