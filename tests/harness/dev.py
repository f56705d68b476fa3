"""`make dev` as a test runs it: with a folder and a port of its own."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from infra.local.ports import choose_free_ports
from infra.local.stack import ROOT

READY_WITHIN_S = 30.0
INHERITED = ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH")


class Dev:
    """One `python -m infra.local dev` with a folder and a port of its own."""

    def __init__(self, folder: Path, port: int, **variables: str) -> None:
        self.folder = folder
        self.port = port
        environment = {name: os.environ[name] for name in INHERITED if name in os.environ}
        self.output_path = folder.with_suffix(".output")
        with self.output_path.open("wb") as output:
            self.process = subprocess.Popen(
                (sys.executable, "-m", "infra.local", "dev", "--data-folder", str(folder)),
                cwd=ROOT,
                env={**environment, "PORT": str(port), **variables},
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def variables(self) -> dict[str, str]:
        """What it tells a developer's shell."""
        return dict(text.split("=", 1) for text in (self.folder / "dev.env").read_text().splitlines())

    @property
    def output(self) -> str:
        return self.output_path.read_text()

    def wait_ready(self) -> None:
        deadline_s = time.monotonic() + READY_WITHIN_S
        while "/auth/privy" not in self.output:
            assert self.process.poll() is None, self.output
            assert time.monotonic() < deadline_s, self.output
            time.sleep(0.05)

    def pids(self) -> list[int]:
        return [json.loads(path.read_text())["pid"] for path in (self.folder / "dev" / "run").glob("*.json")]

    def end(self) -> None:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        self.process.wait(READY_WITHIN_S)


@contextlib.contextmanager
def running_dev(folder: Path, **variables: str) -> Iterator[Dev]:
    (port,) = choose_free_ports(1)
    dev = Dev(folder, port, **variables)
    try:
        dev.wait_ready()
        yield dev
    finally:
        dev.end()
