"""A zip is its files' names, rights and bytes, and nothing of where and when it was made."""

import os
import zipfile
from pathlib import Path

import pytest

from infra.package.archive import MAX_UNZIPPED_BYTES, write_archive
from infra.package.failure import PackageError


def _folder(parent: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = parent / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return parent


def test_the_same_files_in_another_folder_at_another_time_become_the_same_bytes(tmp_path: Path) -> None:
    first = _folder(tmp_path / "first", {"shared/a.py": "a = 1", "b.lua": "return 2"})
    second = _folder(tmp_path / "elsewhere" / "second", {"b.lua": "return 2", "shared/a.py": "a = 1"})
    os.utime(second / "b.lua", (1_000_000_000, 1_000_000_000))

    write_archive(tmp_path / "first.zip", [first])
    write_archive(tmp_path / "second.zip", [second])

    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_files_that_are_found_in_another_order_become_the_same_bytes(tmp_path: Path) -> None:
    ours = _folder(tmp_path / "ours", {"shared/log.py": "", "app.py": ""})
    dependency = _folder(tmp_path / "dependency", {"msgspec/json.py": "", "shared.py": ""})

    write_archive(tmp_path / "first.zip", [ours, dependency])
    write_archive(tmp_path / "second.zip", [dependency, ours])

    assert (tmp_path / "first.zip").read_bytes() == (tmp_path / "second.zip").read_bytes()


def test_what_may_be_run_may_be_run_after_unzipping(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "code", {"run.sh": "#!/bin/sh", "app.py": ""})
    (folder / "run.sh").chmod(0o700)
    (folder / "app.py").chmod(0o600)

    write_archive(tmp_path / "code.zip", [folder])

    with zipfile.ZipFile(tmp_path / "code.zip") as archive:
        rights = {entry.filename: entry.external_attr >> 16 & 0o777 for entry in archive.infolist()}
    assert rights == {"run.sh": 0o755, "app.py": 0o644}


def test_a_file_that_two_folders_bring_is_refused(tmp_path: Path) -> None:
    ours = _folder(tmp_path / "ours", {"shared/log.py": ""})
    dependency = _folder(tmp_path / "dependency", {"shared/log.py": ""})

    with pytest.raises(PackageError, match=r"shared/log\.py is there twice"):
        write_archive(tmp_path / "both.zip", [ours, dependency])


def test_more_than_lambda_takes_is_refused_and_leaves_no_zip(tmp_path: Path) -> None:
    folder = _folder(tmp_path / "code", {"model.bin": ""})
    os.truncate(folder / "model.bin", MAX_UNZIPPED_BYTES + 1)

    with pytest.raises(PackageError, match=rf"would hold {MAX_UNZIPPED_BYTES + 1} bytes"):
        write_archive(tmp_path / "code.zip", [folder])

    assert not (tmp_path / "code.zip").exists()
