"""Zip files that depend on nothing but the bytes of what is in them."""

import stat
import tempfile
import zipfile
from collections.abc import Iterable
from pathlib import Path

from infra.package.failure import PackageError

# The earliest time that the format knows.
TIME = (1980, 1, 1, 0, 0, 0)
# Lambda refuses more, unzipped and with its layers.
# source  https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_UNZIPPED_BYTES = 250 * 1024 * 1024


def write_archive(target: Path, folders: Iterable[Path]) -> None:
    """Write the files of these folders into one zip, under their paths in their folder.

    raises  PackageError when two folders have the same file, and when it is more than Lambda takes
    """
    files: dict[str, Path] = {}
    for folder in folders:
        for path in folder.rglob("*"):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and files.setdefault(name, path) is not path:
                raise PackageError(f"{target.name}: {name} is there twice, ours and a dependency's")
    unzipped_bytes = sum(path.stat().st_size for path in files.values())
    if unzipped_bytes > MAX_UNZIPPED_BYTES:
        raise PackageError(f"{target.name} would hold {unzipped_bytes} bytes, Lambda takes {MAX_UNZIPPED_BYTES}")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder_of_part:
        part = Path(folder_of_part) / target.name
        with zipfile.ZipFile(part, "w") as archive:
            for name, path in sorted(files.items()):
                archive.writestr(_entry(name, path), path.read_bytes(), zipfile.ZIP_DEFLATED)
        part.replace(target)


def _entry(name: str, path: Path) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, TIME)
    # The format has no rights of its own; Unix keeps them here, and Lambda runs only what may be run.
    entry.create_system = 3
    is_executable = path.stat().st_mode & stat.S_IXUSR
    entry.external_attr = (stat.S_IFREG | (0o755 if is_executable else 0o644)) << 16
    return entry
