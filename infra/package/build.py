"""The zip of a function: its packages, shared/, its own folder, and for a server the script that starts it."""

import os
import shutil
import tempfile
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from infra.package.archive import write_archive
from infra.package.bytecode import compile_folder
from infra.package.dependencies import Architecture, provide_dependencies
from infra.package.failure import PackageError
from infra.package.groups import ROOT, Group

BUILD_FOLDER = ROOT / ".build"
START_SCRIPT = Path("infra/aws/run.sh")
NOT_CODE = shutil.ignore_patterns("__pycache__", ".*")


@dataclass(frozen=True, slots=True)
class Zip:
    """One built function."""

    group: str
    path: Path
    files: int
    unzipped_bytes: int


def build_zips(
    groups: Sequence[Group],
    *,
    architecture: Architecture,
    build_folder: Path = BUILD_FOLDER,
    name: str = "lambda",
    extra_locks: Sequence[Path] = (),
) -> list[Zip]:
    """Build <build_folder>/<name>/<architecture>/<group>.zip for every group, as many at once as there are processors.

    extra_locks: of packages that each of them gets beside its own
    raises  PackageError
    """
    packages = build_folder / "packages"

    def provide(lock: Path) -> None:
        provide_dependencies(lock, *extra_locks, architecture=architecture, packages=packages)

    def build(group: Group) -> Zip:
        dependencies = provide_dependencies(group.lock, *extra_locks, architecture=architecture, packages=packages)
        return build_zip(group, dependencies, build_folder / name / architecture / f"{group.name}.zip")

    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        # Groups with the same lock share their packages: made once, before anyone needs them.
        list(pool.map(provide, {group.lock.read_bytes(): group.lock for group in groups}.values()))
        return list(pool.map(build, groups))


def build_zip(group: Group, dependencies: Path, target: Path) -> Zip:
    """Build one zip.

    raises  PackageError
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as folder:
        code = Path(folder)
        _copy_code(group, code)
        compile_folder(code)
        write_archive(target, (dependencies, code))
    with zipfile.ZipFile(target) as archive:
        entries = archive.infolist()
    return Zip(group.name, target, len(entries), sum(entry.file_size for entry in entries))


def _copy_code(group: Group, folder: Path) -> None:
    shutil.copytree(ROOT / "shared", folder / "shared", ignore=NOT_CODE)
    shutil.copytree(group.folder, folder / "functions" / group.name, ignore=NOT_CODE)
    shutil.copy(ROOT / "functions" / "__init__.py", folder / "functions")
    if group.streams:
        _copy_start_script(folder)


def _copy_start_script(folder: Path) -> None:
    if not (ROOT / START_SCRIPT).is_file():
        raise PackageError(f"a function without a handler is started by {START_SCRIPT}, which is missing")
    copy = folder / START_SCRIPT
    copy.parent.mkdir(parents=True)
    shutil.copy(ROOT / START_SCRIPT, copy)
    copy.chmod(0o755)
