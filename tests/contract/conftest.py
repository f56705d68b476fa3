"""The official clients, made as a customer makes them."""

import fcntl
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.contract.clients import FOLDER, MakeClient, RunNode, run_scenario
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel

INSTALL = ("npm", "ci", "--no-audit", "--no-fund", "--loglevel=error")


@pytest.fixture(scope="session")
def node() -> str:
    """Node, with the package installed as package-lock.json has it."""
    program = shutil.which("node")
    assert program is not None, "node is not installed"
    with (FOLDER / "package-lock.json").open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        installed = FOLDER / "node_modules" / ".package-lock.json"
        if not installed.exists() or installed.stat().st_mtime < (FOLDER / "package-lock.json").stat().st_mtime:
            subprocess.run(INSTALL, cwd=FOLDER, check=True, capture_output=True, timeout=120)
    return program


@pytest.fixture
def run_node(node: str, gateway: RunningGateway) -> RunNode:
    """Run one scenario of openai_client.mjs against the gateway."""

    def run(scenario: str, tenant: Tenant, model: TestModel) -> dict[str, Any]:
        return run_scenario(node, scenario, gateway.url, tenant, model)

    return run


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
