"""One Vercel function running: its bundle laid out and booted exactly as it was built."""

import itertools
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from infra.local.ports import answers_http
from infra.local.processes import Service, StackError
from infra.local.stack import LocalStack
from infra.vercel_output import MAIN_FILE, Bundle
from tests.deploy.vercel_reports import FunctionReports

# What the platform does to boot it. -I -S: nothing but the standard library and the bundle can be imported;
# -B: a bundle cannot be written to.
BOOT = f"import os, sys; os.chdir(sys.argv[1]); sys.path.insert(0, sys.argv[1]); import {MAIN_FILE.removesuffix('.py')}"
PLATFORM_VARIABLES = {"VERCEL": "1", "VERCEL_ENV": "production", "VERCEL_REGION": "iad1"}
# The runtime answers it by itself, once the application has started.
READY_PATH = "/_vercel/ping"


class FunctionRefused(Exception):
    """The function did not start; the message holds the end of its log."""


class VercelFunction:
    """A process that has nothing but its bundle, the standard library and the variables it was given."""

    def __init__(self, stack: LocalStack, bundle: Bundle, folder: Path, variables: Mapping[str, str]) -> None:
        self.bundle = bundle
        self._stack = stack
        self._name = f"vercel-{next(_numbers)}-{bundle.name}"
        self._folder = folder / self._name
        self._variables = variables
        self._log = stack.processes.log_path(self._name)
        self._reports = FunctionReports(folder / f"{self._name}.sock", self._log)

    @property
    def port(self) -> int:
        """Where it listens."""
        assert self._reports.port is not None, f"{self._name} has not started"
        return self._reports.port

    def start(self) -> "VercelFunction":
        """Lay the bundle out and boot it.

        raises  FunctionRefused
        """
        _lay_out(self.bundle, self._folder)
        self._reports.open()
        try:
            self._stack.start_service(self._service())
        except StackError as error:
            self.stop()
            raise FunctionRefused(f"{error}\n{self.log_text()}") from error
        return self

    def stop(self) -> None:
        """End it, and take in what it said to the end; a second call does nothing."""
        self._stack.processes.stop(self._name)
        self._reports.close()

    def log_text(self) -> str:
        """Return everything it has printed and logged."""
        return self._log.read_text(errors="replace") if self._log.exists() else ""

    def _service(self) -> Service:
        return Service(
            name=self._name,
            command=(sys.executable, "-I", "-S", "-B", "-c", BOOT, str(self._folder)),
            environment={
                **PLATFORM_VARIABLES,
                **self.bundle.environment,
                **self._variables,
                "VERCEL_IPC_PATH": str(self._reports.address),
            },
            is_ready=lambda: self._reports.port is not None and answers_http(self._reports.port, READY_PATH),
        )


def _lay_out(bundle: Bundle, folder: Path) -> None:
    for name, source in bundle.files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, folder / name)


_numbers = itertools.count(1)
