"""What Lambda's own image holds besides the function: a bare Python, and the client that calls handlers."""

import os
import re
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

RUNTIME_CLIENT = "awslambdaric"
# Where the name of a requirement ends, its versions begin.
NAME = re.compile(r"^[\w.-]+")
PYTHON_NAMES = ("python", "python3", "python3.12")


def make_image(folder: Path) -> "Image":
    """Lay the image out in a folder."""
    (folder / "bin").mkdir()
    (folder / "runtime").mkdir()
    python = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    for name in PYTHON_NAMES:
        _write_program(folder / "bin" / name, python)
    for source in _files_of(RUNTIME_CLIENT):
        (folder / "runtime" / source.name).symlink_to(source)
    return Image(folder)


class Image:
    """Where the parts of the image stand."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def python(self) -> str:
        """The program that runs Python without any package but those of PYTHONPATH."""
        return str(self._folder / "bin" / "python3")

    @property
    def environment(self) -> dict[str, str]:
        """The variables that lead to the parts.

        source  https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html
        """
        return {
            "PATH": os.pathsep.join([str(self._folder / "bin"), "/usr/local/bin", "/usr/bin", "/bin"]),
            "LAMBDA_RUNTIME_DIR": str(self._folder / "runtime"),
            "PYTHONPATH": str(self._folder / "runtime"),
            "LANG": "en_US.UTF-8",
            "TZ": ":UTC",
        }


def _write_program(path: Path, python: Path) -> None:
    # -S: nothing of site-packages. -B: a function's folder cannot be written on Lambda.
    path.write_text(f'#!/bin/sh\nexec "{python}" -S -B "$@"\n')
    path.chmod(0o755)


def _files_of(distribution_name: str) -> Iterator[Path]:
    """Give what a package and those it needs put into site-packages."""
    distribution = metadata.distribution(distribution_name)
    top_level = {file.parts[0] for file in distribution.files or ()}
    for name in sorted(top_level):
        if not name.startswith((".", "_")) and not name.endswith(".dist-info"):
            yield Path(str(distribution.locate_file(name)))
    for requirement in distribution.requires or ():
        if "extra ==" not in requirement:
            yield from _files_of(NAME.findall(requirement)[0])
