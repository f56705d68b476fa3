"""A PostgreSQL with Supabase's roles and nothing else, for as long as a drill takes."""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

from infra.local.credentials import load_or_create_credentials
from infra.local.ports import choose_free_ports
from infra.local.postgres import bootstrap_cluster, database_url, postgres_service, prepare_cluster
from infra.local.processes import Processes


@contextlib.contextmanager
def scratch_database() -> Iterator[str]:
    """Start a cluster in a folder of its own, and delete both in the end.

    raises  StackError
    """
    with tempfile.TemporaryDirectory(prefix="restore-drill-") as name:
        folder = Path(name)
        # The server may run as somebody else, who has to get into its own folder.
        folder.chmod(0o711)
        credentials = load_or_create_credentials(folder / "credentials.json")
        (port,) = choose_free_ports(1)
        for each in ("run", "logs"):
            (folder / each).mkdir()
        processes = Processes(folder / "run", folder / "logs")
        prepare_cluster(folder / "postgres", credentials, keeps_data=False)
        processes.start(postgres_service(folder / "postgres", port, credentials, keeps_data=False))
        try:
            processes.wait_ready("postgres")
            bootstrap_cluster(folder / "postgres", port, credentials)
            yield database_url("postgres", credentials.postgres_password, port)
        finally:
            processes.stop("postgres")
