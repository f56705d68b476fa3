"""Byte-code is made from the source alone, and used without looking at the source."""

import subprocess
import sys
from pathlib import Path

import pytest

from infra.package.bytecode import compile_folder
from infra.package.failure import PackageError

SOURCE = "NAMES = {'a', 'b', 'c'}\n\ndef fail(name):\n    assert name in {'x', 'y', 'z'}, NAMES\n"
COMPILED = "package/__pycache__/module.cpython-312.pyc"


def _module(folder: Path, source: str = SOURCE) -> Path:
    (folder / "package").mkdir(parents=True)
    (folder / "package" / "module.py").write_text(source)
    return folder


def test_the_same_source_in_another_folder_becomes_the_same_bytes(tmp_path: Path) -> None:
    folders = [_module(tmp_path / "one"), _module(tmp_path / "a" / "longer" / "way")]
    for folder in folders:
        compile_folder(folder)

    one, other = ((folder / COMPILED).read_bytes() for folder in folders)

    assert one == other
    assert str(tmp_path).encode() not in one


def test_the_byte_code_counts_whatever_became_of_the_source(tmp_path: Path) -> None:
    folder = _module(tmp_path / "code", "print('compiled')")
    compile_folder(folder)
    (folder / "package" / "module.py").write_text("print('compiled again')")

    command = (sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, {str(folder)!r}); import package.module")
    result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

    assert result.stdout == "compiled\n"


def test_a_module_that_does_not_compile_is_named(tmp_path: Path) -> None:
    folder = _module(tmp_path / "code", "def broken(:\n")

    with pytest.raises(PackageError, match=r"package/module\.py"):
        compile_folder(folder)
