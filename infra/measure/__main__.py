"""Measure every function from its own zip, and write the table in README.md.

python -m infra.measure [--write]
"""

import argparse
import statistics
import sys
import tempfile
import zipfile
from pathlib import Path

from infra.measure.imports import Import, ImportFailed, run_in_turn, typical_ratio
from infra.measure.table import Row, format_table, write_table
from infra.package.build import Zip, build_zips
from infra.package.dependencies import this_architecture
from infra.package.failure import PackageError
from infra.package.groups import ROOT, find_groups

README = ROOT / "README.md"
ROUNDS = 9
MB = 1_000_000
BASELINE = "fastapi and aiohttp"
# A function whose zip holds both.
BASELINE_GROUP = "chat"


def main() -> int:
    """Measure and print, or write; the exit status says whether everything could be imported."""
    parser = argparse.ArgumentParser(prog="python -m infra.measure")
    parser.add_argument("--write", action="store_true", help="put the table into README.md")
    arguments = parser.parse_args()
    try:
        # Apart from .build/lambda, which may hold what is about to be deployed, for another architecture.
        zips = build_zips(find_groups(), architecture=this_architecture(), name="measured")
        rows = measure(zips)
    except (PackageError, ImportFailed) as error:
        print(error, file=sys.stderr)
        return 1
    print(format_table(rows), end="")
    if arguments.write:
        write_table(README, rows)
    return 0


def measure(zips: list[Zip], rounds: int = ROUNDS) -> list[Row]:
    """Import every function from nothing but its own zip.

    raises  ImportFailed
    """
    with tempfile.TemporaryDirectory() as parent:
        folders = {built.group: _unzip(built, Path(parent)) for built in zips}
        imports = {group: Import((f"functions.{group}.app",), (folder,)) for group, folder in folders.items()}
        imports[BASELINE] = Import(("fastapi", "aiohttp"), (folders[BASELINE_GROUP],))
        costs = run_in_turn(imports, rounds)
    return [
        Row(
            group=built.group,
            unzipped_mb=built.unzipped_bytes / MB,
            modules=len(costs[built.group][0].loaded),
            import_ms=statistics.median(cost.cpu_s for cost in costs[built.group]) * 1000,
            ratio=typical_ratio(costs[built.group], costs[BASELINE]),
        )
        for built in zips
    ]


def _unzip(built: Zip, parent: Path) -> Path:
    folder = parent / built.group
    with zipfile.ZipFile(built.path) as archive:
        archive.extractall(folder)
    return folder


if __name__ == "__main__":
    sys.exit(main())
