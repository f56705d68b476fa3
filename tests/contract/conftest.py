"""The official clients, made as a customer makes them."""

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from typing import Any

import openai
import pytest

from infra.local.stack import ROOT
from tests.contract.clients import FOLDER, MakeClient
from tests.contract.matrix import CLIENTS
from tests.contract.plugin import (
    pytest_addoption,
    pytest_collection_finish,
    pytest_collection_modifyitems,
    pytest_configure,
    pytest_deselected,
    pytest_make_collect_report,
    pytest_runtest_makereport,
)
from tests.contract.programs import Programs, RunClient
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant

# Hooks of this folder's table.
__all__ = [
    "pytest_addoption",
    "pytest_collection_finish",
    "pytest_collection_modifyitems",
    "pytest_configure",
    "pytest_deselected",
    "pytest_make_collect_report",
    "pytest_runtest_makereport",
]
OLDER = ".venv-older"
PYTHON_CLIENTS = ("openai-python", "langchain", "anthropic-python")
INSTALL = ("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")


@pytest.fixture(scope="session")
def node() -> str:
    """Node as the newest packages want it: package-lock.json's own, or this machine's where it has none for it."""
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = FOLDER / "node_modules" / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
            subprocess.run(INSTALL, cwd=FOLDER, check=True, capture_output=True, timeout=120)
    program = shutil.which("node", path=f"{FOLDER / 'node_modules' / '.bin'}{os.pathsep}{os.environ['PATH']}")
    assert program is not None, "node is not installed"
    return program


@pytest.fixture(scope="session")
def older_python() -> str:
    """A Python with nothing but the older clients, as the Makefile installs it."""
    with (ROOT / "Makefile").open() as makefile:
        fcntl.flock(makefile, fcntl.LOCK_EX)
        subprocess.run(("make", "--silent", f"{OLDER}/.installed"), cwd=ROOT, check=True, timeout=300)
    return str(ROOT / OLDER / "bin" / "python")


@pytest.fixture(scope="session")
def clients(node: str, older_python: str) -> Iterator[Programs]:
    """Every client of the table, for any address."""
    run_python = ("-m", "tests.contract.python.run")
    of_python = dict.fromkeys(PYTHON_CLIENTS, (sys.executable, *run_python))
    of_node = dict.fromkeys(CLIENTS.keys() - of_python.keys(), (node, "tests/contract/javascript/run.mjs"))
    programs = Programs({**of_node, **of_python, "openai-python-older": (older_python, *run_python)})
    yield programs
    programs.stop()


@pytest.fixture
def run_client(clients: Programs, gateway: RunningGateway) -> RunClient:
    """Run one scenario of a client against the gateway."""
    return partial(clients.run, gateway.url)


@pytest.fixture
def client_of(gateway: RunningGateway) -> Iterator[MakeClient]:
    """Make clients as a customer does: an address and a key."""
    clients: list[openai.OpenAI] = []

    def make(tenant: Tenant | str, **options: Any) -> openai.OpenAI:
        api_key = tenant if isinstance(tenant, str) else tenant.api_key
        clients.append(openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=api_key, **options))
        return clients[-1]

    yield make
    for client in clients:
        client.close()
