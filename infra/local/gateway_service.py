"""The gateway as one program of the stack: its own process, every function in it."""

import sys
from collections.abc import Mapping

from infra.local.ports import accepts_connections
from infra.local.processes import Service
from infra.local.stack import ROOT

NAME = "gateway"


def gateway_service(port: int, environment: Mapping[str, str], *, name: str = NAME, has_log: bool = True) -> Service:
    """Describe a gateway; it listens once every function has started."""
    return Service(
        name=name,
        command=(sys.executable, "-m", "infra.server", "--port", str(port)),
        environment={**environment, "PYTHONPATH": str(ROOT)},
        is_ready=lambda: accepts_connections(port),
        has_log=has_log,
    )
