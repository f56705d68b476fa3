"""A function is measured from its zip alone, in milliseconds and beside FastAPI and aiohttp together."""

import zipfile
from pathlib import Path

import pytest

from infra.measure.__main__ import measure
from infra.package.build import Zip

# Works for so many milliseconds, whatever else the machine does.
BUSY = "import time\nuntil_s = time.process_time() + {} / 1000\nwhile time.process_time() < until_s: pass"
WORK_MS = {"functions/chat/app.py": 100, "fastapi.py": 20, "aiohttp.py": 30}
PACKAGES = ("functions/__init__.py", "functions/chat/__init__.py")
ROUNDS = 3


def _zip(path: Path) -> Zip:
    files = {name: BUSY.format(work_ms) for name, work_ms in WORK_MS.items()} | dict.fromkeys(PACKAGES, "")
    with zipfile.ZipFile(path, "w") as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return Zip(group="chat", path=path, files=len(files), unzipped_bytes=31_500_000)


def test_a_row_is_in_its_columns_units_and_compares_with_both_libraries(tmp_path: Path) -> None:
    (row,) = measure([_zip(tmp_path / "chat.zip")], ROUNDS)

    assert (row.group, row.unzipped_mb) == ("chat", 31.5)
    assert row.modules == len(("functions", "functions.chat", "functions.chat.app"))
    assert row.import_ms == pytest.approx(100, rel=0.3)
    assert row.ratio == pytest.approx(100 / (20 + 30), rel=0.3)
