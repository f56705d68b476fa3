"""A lock's packages, installed for AWS Lambda, without what never runs there, compiled."""

import contextlib
import hashlib
import platform
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, get_args

from infra.package import bytecode
from infra.package.failure import PackageError

Architecture = Literal["arm64", "x86_64"]
ARCHITECTURES: tuple[Architecture, ...] = get_args(Architecture)
# Lambda's Python 3.12 runs on Amazon Linux 2023, whose C library is newer than this asks for.
PLATFORMS: dict[Architecture, str] = {"arm64": "aarch64-manylinux2014", "x86_64": "x86_64-manylinux2014"}
INSTALL_WITHIN_S = 600
KEEP_UNUSED_S = 7 * 24 * 3600

# Console scripts; hidden files; the installer's own notes, which would also differ from one build to the next; sources
# of extension modules, stubs for type checkers and the packages' tests. METADATA and entry_points.txt stay: packages
# read them.
NEVER_RUN = (
    "bin",
    "**/.*",
    "*.dist-info/RECORD",
    "*.dist-info/INSTALLER",
    "*.dist-info/REQUESTED",
    "*.dist-info/WHEEL",
    "*.dist-info/sboms",
    "*/tests",
    "**/*.pyi",
    "**/*.pyx",
    "**/*.pxd",
    "**/*.pxi",
    "**/*.[ch]",
)


def this_architecture() -> Architecture:
    """Return the architecture whose packages run on this machine."""
    return "arm64" if platform.machine() in ("arm64", "aarch64") else "x86_64"


def provide_dependencies(*locks: Path, architecture: Architecture, packages: Path) -> Path:
    """Return the folder with the locks' packages, made once for them and this code.

    raises  PackageError
    """
    recipe = (*locks, Path(__file__), Path(bytecode.__file__))
    content = b"\0".join([architecture.encode(), sys.version.encode(), *(path.read_bytes() for path in recipe)])
    folder = packages / f"{architecture}-{hashlib.sha256(content).hexdigest()[:16]}"
    packages.mkdir(parents=True, exist_ok=True)
    _forget_unused(packages)
    if folder.is_dir():
        folder.touch()
        return folder
    with tempfile.TemporaryDirectory(dir=packages, prefix="making-") as parent:
        made = Path(parent) / "packages"
        _install(locks, architecture, made)
        _remove_what_never_runs(made)
        bytecode.compile_folder(made)
        _keep(made, folder)
    return folder


def _forget_unused(packages: Path) -> None:
    oldest_s = time.time() - KEEP_UNUSED_S
    for folder in packages.iterdir():
        with contextlib.suppress(FileNotFoundError):  # a build beside this one forgot it first
            if folder.stat().st_mtime < oldest_s:
                shutil.rmtree(folder)


def _install(locks: Sequence[Path], architecture: Architecture, folder: Path) -> None:
    target = ("--target", folder, "--python-version", "3.12", "--python-platform", PLATFORMS[architecture])
    trust = ("--only-binary", ":all:", "--require-hashes")
    named = [part for lock in locks for part in ("-r", lock)]
    result = subprocess.run(
        (sys.executable, "-m", "uv", "pip", "install", "--quiet", *target, *trust, *named),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=INSTALL_WITHIN_S,
        check=False,
    )
    if result.returncode:
        names = " and ".join(lock.name for lock in locks)
        raise PackageError(f"{names} cannot be installed for {architecture}:\n{result.stderr}")


def _remove_what_never_runs(folder: Path) -> None:
    for pattern in NEVER_RUN:
        for path in list(folder.glob(pattern)):
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _keep(made: Path, folder: Path) -> None:
    """Give the folder its name; a build beside this one may have been faster, with the same bytes."""
    try:
        made.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
