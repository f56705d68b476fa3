"""The double as one program of the local stack."""

import json
import sys
from pathlib import Path

from infra.local.ports import answers_http, post_json
from infra.local.processes import Service, StackError

ROOT = Path(__file__).parents[3]


def stripe_service(port: int, kept_in: Path | None = None) -> Service:
    """Return the program; who wants its events adds an endpoint under `/_control/endpoints`.

    kept_in: a file for what it remembers; None: it forgets all when it ends
    """
    keeping = ("--kept-in", str(kept_in)) if kept_in else ()
    return Service(
        name="stripe",
        command=(sys.executable, "-m", "infra.local.stripe_double", "--port", str(port), *keeping),
        environment={"PYTHONPATH": str(ROOT)},
        is_ready=lambda: answers_http(port, "/_control/health"),
    )


def tell_events(port: int, *, url: str, secret: str) -> None:
    """Have the running double send its events to an address, signed with the secret.

    raises  StackError
    """
    body = json.dumps({"url": url, "secret": secret}).encode()
    status, answer = post_json(port, "/_control/endpoints", body, {})
    if status != 200:
        raise StackError(f"the Stripe double takes no endpoint: {answer.decode(errors='replace')}")
