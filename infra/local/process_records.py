"""Who was started, written down, so that the next start can end what a killed one left behind."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

END_WITHIN_S = 10.0
POLL_S = 0.02


@dataclass(frozen=True, slots=True)
class ProcessRecord:
    """One started process; started_at tells it from a later process with the same number."""

    pid: int
    started_at: str
    stop_signal: int


def started_at(pid: int) -> str | None:
    """Return when the process started, in the system's own words, or None where there is no such process."""
    if sys.platform == "linux":
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            return None
        # Fields 3 (state) and 22 (starttime) of proc_pid_stat(5), counted after the name.
        return None if fields[0] in "ZX" else fields[19]
    listing = subprocess.run(["ps", "-o", "lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return listing.stdout.strip() or None


def write_record(folder: Path, name: str, record: ProcessRecord) -> None:
    """Write the record so that a reader sees all of it or none."""
    target = folder / f"{name}.json"
    draft = target.with_suffix(".draft")
    draft.write_text(json.dumps(asdict(record)))
    draft.replace(target)


def end_leftovers(folder: Path) -> list[str]:
    """End every recorded process that still runs and is the one recorded; return their names.

    policy  a record that cannot be read is dropped: its process is not known for sure, so it is not touched
    """
    alive: dict[str, ProcessRecord] = {}
    for path in sorted(folder.glob("*.json")):
        record = _read_record(path)
        if record is not None and started_at(record.pid) == record.started_at:
            alive[path.stem] = record
    for record in alive.values():
        _signal(record, record.stop_signal)
    deadline_s = time.monotonic() + END_WITHIN_S
    for record in alive.values():
        while started_at(record.pid) == record.started_at:
            if time.monotonic() > deadline_s:
                _signal(record, signal.SIGKILL)
            time.sleep(POLL_S)
    for path in folder.glob("*.json"):
        path.unlink(missing_ok=True)
    return list(alive)


def _read_record(path: Path) -> ProcessRecord | None:
    try:
        return ProcessRecord(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _signal(record: ProcessRecord, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(record.pid, number)
