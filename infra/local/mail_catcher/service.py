"""The catcher as one program of the local stack."""

import sys
from pathlib import Path

from infra.local.mail_catcher.app import HEALTH_PATH
from infra.local.ports import answers_http
from infra.local.processes import Service

ROOT = Path(__file__).parents[3]


def mail_service(port: int) -> Service:
    """Return the program."""
    return Service(
        name="mail-catcher",
        command=(sys.executable, "-m", "infra.local.mail_catcher", "--port", str(port)),
        environment={"PYTHONPATH": str(ROOT)},
        is_ready=lambda: answers_http(port, HEALTH_PATH),
    )
