"""What the pages tell to type is typed: beside a running `make dev`, in a shell that stops at the first failure."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.pages import ROOT, commands
from tests.harness.dev import Dev, running_dev

WITHIN_S = 120


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    with running_dev(tmp_path_factory.mktemp("pages") / "data") as running:
        yield running


def run(dev: Dev, block: str, folder: Path) -> str:
    """Run a block as it stands, but with this run's own folders."""
    text = block.replace(".local/dev.env", str(dev.folder / "dev.env")).replace(".venv/bin/python", sys.executable)
    text = text.replace("backups", str(folder / "backups"))
    shell = ("bash", "-euo", "pipefail", "-c", text)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(folder)}
    done = subprocess.run(
        shell, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=WITHIN_S, check=False
    )
    assert done.returncode == 0, f"{text}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def test_setup_s_commands_work_beside_make_dev(dev: Dev, tmp_path: Path) -> None:
    blocks = commands("setup.md")
    assert len(blocks) == 2
    look, books = (run(dev, block, tmp_path) for block in blocks)
    assert '"status":"ok"' in look and '"object":"list"' in look and '"inference"' in look
    assert "the books are right" in books


def test_a_backup_is_saved_and_drilled_as_the_page_says(dev: Dev, tmp_path: Path) -> None:
    blocks = commands("operations.md", "Backups")
    assert len(blocks) == 2
    save, drill = (run(dev, block, tmp_path) for block in blocks)
    assert "gateway.dump" in save and "grants" in save
    assert "restored and compared" in drill and "the books are right" in drill
    assert (tmp_path / "backups" / "gateway.dump.json").is_file()


def test_the_books_are_checked_as_troubleshooting_says(dev: Dev, tmp_path: Path) -> None:
    (block,) = commands("troubleshooting.md")
    told = run(dev, f"set -a; . .local/dev.env; set +a\n{block}", tmp_path)
    assert "the books are right" in told
