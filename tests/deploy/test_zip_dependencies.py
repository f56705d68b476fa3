"""A zip's packages are what the lock says, byte for byte, and no code of theirs runs while they are installed."""

import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest

from infra.package.dependencies import provide_dependencies, this_architecture
from infra.package.failure import PackageError

METADATA = "Metadata-Version: 2.1\nName: example\nVersion: 1.0\n"
WHEEL = "example-1.0-py3-none-any.whl"
FILES_OF_WHEEL = {
    "example.py": "",
    "example-1.0.dist-info/METADATA": METADATA,
    "example-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "example-1.0.dist-info/RECORD": "example.py,,\n",
}
# The sources bring what builds the wheel, so that nothing but the lock's rules stands in its way.
BUILD_SYSTEM = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
BACKEND = """
import pathlib

def build_wheel(folder, *_):
    pathlib.Path(folder, {name!r}).write_bytes({content!r})
    return {name!r}
"""


def _wheel() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        for name, text in FILES_OF_WHEEL.items():
            archive.writestr(name, text)
    return content.getvalue()


def _sources() -> bytes:
    files = {
        "PKG-INFO": METADATA,
        "pyproject.toml": BUILD_SYSTEM,
        "backend.py": BACKEND.format(name=WHEEL, content=_wheel()),
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name, text in files.items():
            entry = tarfile.TarInfo(f"example-1.0/{name}")
            entry.size = len(text)
            archive.addfile(entry, io.BytesIO(text.encode()))
    return content.getvalue()


def _install(folder: Path, name: str, content: bytes, rule: str) -> Path:
    """Install a lock's only package from a folder that holds this file of it."""
    (folder / name).write_bytes(content)
    lock = folder / "example.txt"
    lock.write_text(f"--no-index\n--find-links {folder}\nexample==1.0{rule}\n")
    return provide_dependencies(lock, architecture=this_architecture(), packages=folder / "packages")


def _hash(content: bytes) -> str:
    return f" --hash=sha256:{hashlib.sha256(content).hexdigest()}"


def test_a_package_with_the_locks_hash_is_installed(tmp_path: Path) -> None:
    assert (_install(tmp_path, WHEEL, _wheel(), _hash(_wheel())) / "example.py").exists()


@pytest.mark.parametrize("rule", [_hash(b"another file"), ""], ids=["another hash", "no hash"])
def test_a_package_with_another_hash_or_none_is_refused(tmp_path: Path, rule: str) -> None:
    with pytest.raises(PackageError, match=r"example\.txt cannot be installed for .*(?s:.)*(?i:hash)"):
        _install(tmp_path, WHEEL, _wheel(), rule)

    assert list((tmp_path / "packages").iterdir()) == []


def test_a_package_that_would_have_to_be_built_is_refused(tmp_path: Path) -> None:
    sources = _sources()

    with pytest.raises(PackageError, match=r"example\.txt cannot be installed for .*(?s:.)*no usable wheels"):
        _install(tmp_path, "example-1.0.tar.gz", sources, _hash(sources))
