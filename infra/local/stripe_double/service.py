"""The double as one program of the local stack."""

import sys
from pathlib import Path

from infra.local.ports import answers_http
from infra.local.processes import Service

ROOT = Path(__file__).parents[3]


def stripe_service(port: int) -> Service:
    """Return the program; who wants its events adds an endpoint under `/_control/endpoints`."""
    return Service(
        name="stripe",
        command=(sys.executable, "-m", "infra.local.stripe_double", "--port", str(port)),
        environment={"PYTHONPATH": str(ROOT)},
        is_ready=lambda: answers_http(port, "/_control/health"),
    )
