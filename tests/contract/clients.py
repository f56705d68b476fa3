"""How the tests call the official clients."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openai

from tests.harness.tenants import Tenant, TestModel

FOLDER = Path(__file__).parent
NODE_WITHIN_S = 60

# A tenant or a key, and the client's own options.
MakeClient = Callable[..., openai.OpenAI]
# The name of a scenario in openai_client.mjs, who calls, and which model.
RunNode = Callable[[str, Tenant, TestModel], dict[str, Any]]


def run_scenario(node: str, scenario: str, url: str, tenant: Tenant, model: TestModel) -> dict[str, Any]:
    """Run one scenario of the script and return what it printed."""
    variables = {
        "PATH": os.environ["PATH"],
        "GATEWAY_URL": url,
        "GATEWAY_API_KEY": tenant.api_key,
        "MODEL": model.id,
    }
    command = (node, str(FOLDER / "openai_client.mjs"), scenario)
    finished = subprocess.run(
        command, env=variables, capture_output=True, text=True, timeout=NODE_WITHIN_S, check=False
    )
    assert finished.returncode == 0, finished.stderr
    printed = json.loads(finished.stdout)
    assert isinstance(printed, dict)
    return printed
