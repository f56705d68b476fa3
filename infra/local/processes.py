"""Processes of the local stack: started together, watched, stopped, and none outlives the one who started them."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from infra.local.process_records import ProcessRecord, started_at, write_record

READY_WITHIN_S = 30.0
STOP_WITHIN_S = 10.0
POLL_S = 0.02
LOG_TAIL_LINES = 25
LAUNCHER = Path(__file__).with_name("launch.py")

# What a started program may inherit; a developer's PGHOST or PGRST_… would change what is started.
INHERITED = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "TZ", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR")


class StackError(Exception):
    """The stack cannot run; the message says why and, where it can, what to do."""


@dataclass(frozen=True, slots=True)
class Service:
    """One program of the stack: how it is started, how one sees that it is ready, which signal ends it in order."""

    name: str
    command: tuple[str, ...]
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    stop_signal: signal.Signals = signal.SIGTERM
    has_log: bool = True


def inherited_environment() -> dict[str, str]:
    """Return the few variables that every program gets from ours."""
    return {name: os.environ[name] for name in INHERITED if name in os.environ}


class Processes:
    """The running programs of one stack."""

    def __init__(self, run_folder: Path, log_folder: Path) -> None:
        self._run_folder = run_folder
        self._log_folder = log_folder
        self._running: dict[str, tuple[Service, subprocess.Popen[bytes]]] = {}

    def start(self, service: Service) -> None:
        """Start a program without waiting for it; its output goes to logs/<name>.log.

        raises  StackError outside the main thread: the kernel ties a child to the thread that made it
        """
        if threading.current_thread() is not threading.main_thread():
            raise StackError(f"{service.name} must be started from the main thread")
        signal_number = int(service.stop_signal)
        launch = (sys.executable, "-I", "-S", str(LAUNCHER), str(signal_number), str(os.getpid()))
        log = self.log_path(service.name).open("ab") if service.has_log else None
        try:
            process = subprocess.Popen(
                (*launch, *service.command),
                env={**inherited_environment(), **service.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT if log else None,
                start_new_session=True,
            )
        finally:
            if log:
                log.close()
        self._running[service.name] = (service, process)
        record = ProcessRecord(process.pid, started_at(process.pid) or "", signal_number)
        write_record(self._run_folder, service.name, record)

    def wait_ready(self, name: str, within_s: float = READY_WITHIN_S) -> None:
        """Wait until the program answers.

        raises  StackError with the end of its log when it died or took too long
        """
        service, process = self._running[name]
        deadline_s = time.monotonic() + within_s
        while not service.is_ready():
            if process.poll() is not None:
                raise StackError(self.describe_end(name))
            if time.monotonic() > deadline_s:
                raise StackError(f"{name} was not ready within {within_s:.0f} s.\n{self._log_tail(name)}")
            time.sleep(POLL_S)

    def dead(self) -> str | None:
        """Return the name of a program that ended though nobody stopped it."""
        return next((name for name, (_, process) in self._running.items() if process.poll() is not None), None)

    def describe_end(self, name: str) -> str:
        """Say how a program ended, with the end of its log."""
        return f"{name} ended by itself (exit status {self._running[name][1].poll()}).\n{self._log_tail(name)}"

    def stop(self, *names: str) -> None:
        """Stop these programs together; what does not end in time is killed."""
        stopping = [self._running[name] for name in names if name in self._running]
        for service, process in stopping:
            process.send_signal(service.stop_signal)
        deadline_s = time.monotonic() + STOP_WITHIN_S
        for service, process in stopping:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            (self._run_folder / f"{service.name}.json").unlink(missing_ok=True)
            del self._running[service.name]

    def names(self) -> tuple[str, ...]:
        """Return the started programs in the order of their start."""
        return tuple(self._running)

    def pid(self, name: str) -> int:
        """Return the process number of a running program."""
        return self._running[name][1].pid

    def log_path(self, name: str) -> Path:
        """Return where a program's output goes."""
        return self._log_folder / f"{name}.log"

    def _log_tail(self, name: str) -> str:
        path = self.log_path(name)
        if not path.exists():
            return ""
        lines = path.read_text(errors="replace").splitlines()[-LOG_TAIL_LINES:]
        return "\n".join([f"  the end of {path.name}:", *(f"  | {line}" for line in lines)])
