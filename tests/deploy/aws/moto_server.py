"""A moto server that also deploys what moto cannot yet: its own process, its own fresh account.

python -m tests.deploy.aws.moto_server --port N
"""

import argparse
import sys

from werkzeug.serving import run_simple

from infra.local.ports import LOOPBACK, accepts_connections
from infra.local.processes import Service
from infra.local.stack import ROOT

NAME = "moto"


def moto_service(port: int) -> Service:
    """Describe the server."""
    return Service(
        name=NAME,
        command=(sys.executable, "-m", "tests.deploy.aws.moto_server", "--port", str(port)),
        environment={"PYTHONPATH": str(ROOT)},
        is_ready=lambda: accepts_connections(port),
    )


def main() -> None:
    """Serve on loopback."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    port = parser.parse_args().port
    # Imported here: moto takes a second, and the tests only want the description.
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app  # noqa: PLC0415

    from tests.deploy.aws.moto_patches import patch_moto  # noqa: PLC0415
    from tests.deploy.aws.moto_types import add_types  # noqa: PLC0415

    patch_moto()
    add_types(f"http://{LOOPBACK}:{port}")
    run_simple(LOOPBACK, port, DomainDispatcherApplication(create_backend_app), threaded=True)


if __name__ == "__main__":
    main()
