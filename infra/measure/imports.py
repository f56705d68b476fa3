"""What an import costs, in fresh interpreters that see nothing but the folders they are given."""

import json
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.local.processes import inherited_environment

IMPORT_WITHIN_S = 60
# The folders are put on an empty path (-S: no site-packages); the price of starting Python itself is not counted.
# Nor is a full collection of garbage: whether one falls into an import depends on what was counted before it, and it
# costs a cold start as much as a hundred modules.
PROBE = """
import gc, json, sys, time
gc.disable()
modules, folders = json.loads(sys.argv[1])
sys.path[:0] = folders
known = set(sys.modules)
began_s = time.process_time()
for module in modules:
    __import__(module)
cpu_s = time.process_time() - began_s
print(json.dumps([cpu_s, sorted(set(sys.modules) - known)]))
"""


class ImportFailed(Exception):
    """The message is what Python said."""


@dataclass(frozen=True, slots=True)
class Import:
    """What to import, and the only folders to import it from besides the standard library."""

    modules: tuple[str, ...]
    folders: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class ImportCost:
    """One run. cpu_s: of user and system together; loaded: every module that was not there before."""

    cpu_s: float
    loaded: tuple[str, ...]


def run_import(wanted: Import) -> ImportCost:
    """Import in a fresh interpreter.

    raises  ImportFailed
    """
    task = json.dumps([wanted.modules, [str(folder) for folder in wanted.folders]])
    result = subprocess.run(
        (sys.executable, "-I", "-S", "-c", PROBE, task),
        env=inherited_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=IMPORT_WITHIN_S,
        check=False,
    )
    if result.returncode:
        raise ImportFailed(f"importing {', '.join(wanted.modules)} failed:\n{result.stderr}")
    cpu_s, loaded = json.loads(result.stdout)
    return ImportCost(cpu_s, tuple(loaded))


def run_in_turn(imports: Mapping[str, Import], rounds: int) -> dict[str, Sequence[ImportCost]]:
    """Import each of them once per round, so that what else the machine does hits all of them alike.

    raises  ImportFailed
    """
    costs: dict[str, list[ImportCost]] = {name: [] for name in imports}
    for _ in range(rounds):
        for name, wanted in imports.items():
            costs[name].append(run_import(wanted))
    return dict(costs)


def typical_ratio(costs: Sequence[ImportCost], baseline: Sequence[ImportCost]) -> float:
    """Return how much dearer an import is than another that was run in turn with it.

    The two of one round saw the same machine, so each round's ratio is taken, and of these the median: on a busy
    machine it strays far less than the ratio of two medians or two minimums.
    """
    return statistics.median(one.cpu_s / other.cpu_s for one, other in zip(costs, baseline, strict=True))
