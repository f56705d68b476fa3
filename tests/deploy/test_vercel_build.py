"""How the Vercel build fails, without Vercel's command: a script stands in for it."""

from pathlib import Path

import pytest

from infra.vercel_build import BuildFailed, build
from infra.vercel_output import BuildMissing, read_output


def script(folder: Path, text: str) -> Path:
    path = folder / "vercel"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def test_a_command_that_is_not_installed_is_named_with_its_remedy(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed, match="vercel is missing; install it: make package, or npm ci in infra/deploy"):
        build(tmp_path / "project", tmp_path / "vercel")


def test_a_build_that_fails_says_why_and_keeps_the_one_before(tmp_path: Path) -> None:
    project = tmp_path / "project"
    build(project, script(tmp_path, "touch .vercel/first"))
    with pytest.raises(BuildFailed, match="no such package"):
        build(project, script(tmp_path, "echo no such package; exit 1"))
    assert (project / ".vercel" / "first").exists()


def test_a_build_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    project = tmp_path / "project"
    build(project, script(tmp_path, "touch .vercel/first"))
    build(project, script(tmp_path, "touch .vercel/second"))
    assert sorted(path.name for path in (project / ".vercel").iterdir()) == ["project.json", "second"]


def test_a_build_knows_no_account_and_no_secret_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("VERCEL_TOKEN", "VERCEL_ORG_ID", "SECRET_KEY", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "must not be seen")
    build(tmp_path / "project", script(tmp_path, "env > .vercel/environment"))
    assert "must not be seen" not in (tmp_path / "project" / ".vercel" / "environment").read_text()


def test_what_was_never_built_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(BuildMissing, match=r"python -m infra\.vercel_build"):
        read_output(tmp_path)
