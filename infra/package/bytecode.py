"""Byte-code, so that a cold start compiles nothing."""

import subprocess
import sys
from pathlib import Path

from infra.package.failure import PackageError

RUNTIME = (3, 12)
# Where Lambda unpacks a zip: the place that tracebacks name, wherever the code was compiled.
TASK_ROOT = "/var/task"
COMPILE_WITHIN_S = 300


def compile_folder(folder: Path) -> None:
    """Compile every module below folder; the same sources always become the same bytes.

    The byte-code is not checked against its source at import: a zip's file times mean nothing.

    raises  PackageError
    """
    if sys.version_info[:2] != RUNTIME:
        raise PackageError(f"byte-code is for Python {'.'.join(map(str, RUNTIME))}: run this with `make package`")
    options = ("-q", "--invalidation-mode", "unchecked-hash", "-s", str(folder), "-p", TASK_ROOT)
    result = subprocess.run(
        (sys.executable, "-I", "-S", "-m", "compileall", *options, str(folder)),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=COMPILE_WITHIN_S,
        check=False,
    )
    if result.returncode:
        raise PackageError(f"a module does not compile:\n{result.stdout}{result.stderr}")
