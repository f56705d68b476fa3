"""The double as a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from infra.local.ports import LOOPBACK, choose_free_ports
from infra.local.processes import Processes
from infra.local.stack import ROOT
from infra.local.stripe_double.service import stripe_service
from tests.infra.local.stripe_double.conftest import client

COMMAND = (sys.executable, "-m", "infra.local.stripe_double")


def start(*arguments: str, secret: str | None = None) -> subprocess.Popen[str]:
    environment = {name: value for name, value in os.environ.items() if name != "STRIPE_WEBHOOK_SECRET"}
    if secret is not None:
        environment["STRIPE_WEBHOOK_SECRET"] = secret
    return subprocess.Popen(
        (*COMMAND, *arguments), cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("stop_signal", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_answers_and_ends_in_order(stop_signal: signal.Signals) -> None:
    with start("--seed", "1", "--now", "1768478400") as process:
        assert process.stdout is not None
        ready = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
        try:
            assert ready is not None
            assert client(ready[0]).v1.customers.create({"email": "a@example.com"}).created == 1768478400
        finally:
            process.send_signal(stop_signal)
        assert process.wait(10) == 0


def test_a_later_start_remembers_who_has_bought_what(tmp_path: Path) -> None:
    kept = ("--kept-in", str(tmp_path / "kept"))
    customer_id = ""
    for _ in range(2):
        with start(*kept) as process:
            assert process.stdout is not None
            ready = re.search(r"http://127\.0\.0\.1:\d+", process.stdout.readline())
            try:
                assert ready is not None
                customers = client(ready[0]).v1.customers
                if not customer_id:
                    customer_id = customers.create({"email": "a@example.com"}).id
                assert customers.retrieve(customer_id).email == "a@example.com"
            finally:
                # Nobody tells it to end.
                process.kill()


@pytest.mark.parametrize("written", [b"", b"no pickle", b"cos\nnothing_of_this_name\n.", b"N."])
def test_what_another_version_has_left_is_named_and_nothing_is_overwritten(tmp_path: Path, written: bytes) -> None:
    path = tmp_path / "kept"
    path.write_bytes(written)
    with start("--kept-in", str(path)) as process:
        _, errors = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "make clean-local" in errors
    assert path.read_bytes() == written


@pytest.mark.parametrize("secret", [None, ""])
def test_an_endpoint_without_a_secret_is_refused(secret: str | None) -> None:
    with start("--webhook-url", "http://127.0.0.1:9/hook", secret=secret) as process:
        _, errors = process.communicate(timeout=20)

    assert process.returncode == 2
    assert "STRIPE_WEBHOOK_SECRET is not set" in errors


def test_it_is_a_program_of_the_stack(tmp_path: Path) -> None:
    for name in ("run", "logs"):
        (tmp_path / name).mkdir()
    (port,) = choose_free_ports(1)
    processes = Processes(tmp_path / "run", tmp_path / "logs")
    try:
        processes.start(stripe_service(port))
        processes.wait_ready("stripe")
        # Its clock ticks: what is made is made now.
        created = client(f"http://{LOOPBACK}:{port}").v1.customers.create().created
        assert abs(created - time.time()) < 60
    finally:
        processes.stop("stripe")
