"""Which program to run: the one on PATH where it works, or else the one that a package brought."""

import shutil
import subprocess
from pathlib import Path

from infra.local.processes import StackError, inherited_environment

ANSWER_WITHIN_S = 5.0


def find_binary(name: str, bundled: Path | None) -> str:
    """Return the program on PATH, or else the bundled one.

    A program on PATH that cannot tell its version is passed over: version managers put stand-ins there for programs
    that are not installed.

    raises  StackError
    """
    on_path = shutil.which(name)
    if on_path and _tells_version(on_path):
        return on_path
    if bundled is None or not bundled.exists():
        raise StackError(f"{name} is neither on PATH nor brought by a package for this machine; put `{name}` on PATH")
    return str(bundled)


def _tells_version(program: str) -> bool:
    try:
        result = subprocess.run(
            [program, "--version"],
            env=inherited_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=ANSWER_WITHIN_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0
