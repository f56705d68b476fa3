"""The command line of the local stack: `python -m infra.local dev | clean`."""

import argparse
import shutil
import sys
from pathlib import Path

from infra.local.dev import run_dev
from infra.local.processes import StackError
from infra.local.stack import ROOT, LocalStack

DATA_FOLDER = ROOT / ".local"


def main() -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.local")
    parser.add_argument("command", choices=("dev", "clean"))
    parser.add_argument("--data-folder", type=Path, default=DATA_FOLDER)
    arguments = parser.parse_args()
    return run_dev(arguments.data_folder) if arguments.command == "dev" else clean(arguments.data_folder)


def clean(data_folder: Path) -> int:
    """Delete everything that the stack keeps, unless it is running."""
    for lock in (*data_folder.glob("dev/lock"), *data_folder.glob("test/*/lock")):
        stack = LocalStack(lock.parent, keeps_data=True)
        try:
            stack.take_folder()
        except StackError as error:
            print(error, file=sys.stderr)
            return 1
        stack.stop()
    shutil.rmtree(data_folder, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
