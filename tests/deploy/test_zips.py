"""The zips that `make package` built: small, complete, each with nothing of another function's, always the same."""

import hashlib
import importlib.util
import marshal
import zipfile
from pathlib import Path

import pytest

from infra.measure.budget import MAX_CHAT_BYTES
from infra.measure.imports import Import, run_import
from infra.measure.table import read_table
from infra.package.build import BUILD_FOLDER, START_SCRIPT, build_zips
from infra.package.bytecode import TASK_ROOT
from infra.package.dependencies import ARCHITECTURES, Architecture, this_architecture
from infra.package.groups import ROOT, Group, find_groups

README_TOLERANCE = 0.1
MODULES_TOLERANCE = 10
# The second field of a .pyc: made from a hash of the source that nobody checks at import (PEP 552).
UNCHECKED_HASH = (1).to_bytes(4, "little")
# What a shared library is for stands in its head: e_machine, two bytes after the file's identity and type.
# source  https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
E_MACHINE = slice(18, 20)
E_MACHINES: dict[Architecture, int] = {"arm64": 183, "x86_64": 62}
GROUPS = find_groups()
SELLING, WRITING = {"stripe"}, {"resend", "jinja2"}
WHAT_ELSE = {
    "account": WRITING,
    "billing": SELLING | WRITING,
    "scheduled": SELLING | WRITING,
    "stripe_webhook": SELLING | WRITING,
}
each_group = pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)


def _open(name: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(BUILD_FOLDER / "lambda" / this_architecture() / f"{name}.zip")


def _unzipped_bytes(name: str) -> int:
    with _open(name) as archive:
        return sum(entry.file_size for entry in archive.infolist())


def test_chat_is_small_with_its_byte_code() -> None:
    assert _unzipped_bytes("chat") <= MAX_CHAT_BYTES


def test_the_readme_says_what_every_zip_unpacks_to() -> None:
    built_mb = {group.name: _unzipped_bytes(group.name) / 1_000_000 for group in GROUPS}

    written_mb = {group: row.unzipped_mb for group, row in read_table(ROOT / "README.md").items()}
    assert written_mb == pytest.approx(built_mb, rel=README_TOLERANCE)


@each_group
def test_a_function_is_imported_from_its_zip_alone_and_loads_what_the_readme_says(group: Group, tmp_path: Path) -> None:
    with _open(group.name) as archive:
        archive.extractall(tmp_path)

    loaded = run_import(Import((f"functions.{group.name}.app",), (tmp_path,))).loaded

    assert f"functions.{group.name}.app" in loaded
    written = read_table(ROOT / "README.md")[group.name].modules
    assert len(loaded) == pytest.approx(written, abs=MODULES_TOLERANCE)


@each_group
def test_a_zip_holds_its_own_function_and_nothing_that_never_runs(group: Group) -> None:
    with _open(group.name) as archive:
        names = archive.namelist()
    parts = {part for name in names for part in Path(name).parts}
    functions = {Path(name).parts[1] for name in names if name.startswith("functions/")}

    assert functions == {"__init__.py", "__pycache__", group.name}
    assert parts & {"tests", "bin", "RECORD"} == set()
    assert ("shared/limits/reserve.lua" in names) and (START_SCRIPT.as_posix() in names) == group.streams


@each_group
def test_a_function_that_sells_or_writes_e_mail_holds_what_it_does_that_with_and_no_other_does(group: Group) -> None:
    with _open(group.name) as archive:
        packages = {name.partition("/")[0] for name in archive.namelist()}
        templates = {name for name in archive.namelist() if name.endswith(".jinja")}

    assert packages & (SELLING | WRITING) == WHAT_ELSE.get(group.name, set())
    assert templates == {path.relative_to(ROOT).as_posix() for path in (ROOT / "shared").rglob("*.jinja")}


@each_group
def test_every_module_comes_with_byte_code_for_the_place_where_lambda_unpacks_it(group: Group) -> None:
    with _open(group.name) as archive:
        names = set(archive.namelist())
        sources = [name for name in names if name.endswith(".py")]
        compiled = {name: Path(importlib.util.cache_from_source(name)).as_posix() for name in sources}
        assert set(compiled.values()) == {name for name in names if name.endswith(".pyc")}
        for source, pyc in compiled.items():
            content = archive.read(pyc)
            assert content[:4] == importlib.util.MAGIC_NUMBER
            assert content[4:8] == UNCHECKED_HASH
            assert marshal.loads(content[16:]).co_filename == f"{TASK_ROOT}/{source}"


def test_two_builds_in_different_folders_are_the_same_bytes(tmp_path: Path) -> None:
    chat = find_groups(["chat"])
    folders = (tmp_path / "one", tmp_path / "another" / "further" / "down")
    zips = [build_zips(chat, architecture=this_architecture(), build_folder=folder)[0] for folder in folders]

    one, other = (hashlib.sha256(built.path.read_bytes()).hexdigest() for built in zips)
    assert one == other


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_every_shared_library_is_for_the_architecture_that_was_asked_for(
    architecture: Architecture, tmp_path: Path
) -> None:
    # Packages are installed once for all builds, also for the architecture that this machine is not.
    (tmp_path / "packages").symlink_to(BUILD_FOLDER / "packages")

    (built,) = build_zips(find_groups(["chat"]), architecture=architecture, build_folder=tmp_path)

    with zipfile.ZipFile(built.path) as archive:
        heads = {name: archive.read(name)[:20] for name in archive.namelist() if ".so" in Path(name).suffixes}
    assert len(heads) > 5
    assert {head[:4] for head in heads.values()} == {b"\x7fELF"}
    machines = {name: int.from_bytes(head[E_MACHINE], "little") for name, head in heads.items()}
    assert set(machines.values()) == {E_MACHINES[architecture]}, machines
