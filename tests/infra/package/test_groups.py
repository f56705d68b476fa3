"""Every folder of functions/ with an app.py is a function, and each has its lock."""

from pathlib import Path

import pytest

from infra.package.failure import PackageError
from infra.package.groups import find_groups


def _project(folder: Path, apps: dict[str, str], locks: tuple[str, ...]) -> Path:
    (folder / "infra" / "requirements").mkdir(parents=True)
    (folder / "functions" / "__pycache__").mkdir(parents=True)
    for name, source in apps.items():
        (folder / "functions" / name).mkdir()
        (folder / "functions" / name / "app.py").write_text(source)
    for name in locks:
        (folder / "infra" / "requirements" / f"{name}.txt").touch()
    return folder


def test_a_function_without_a_handler_streams(tmp_path: Path) -> None:
    apps = {"chat": "app = create_app()", "catalog": "app = create_app()\nhandler = LambdaHandler(app)"}
    root = _project(tmp_path, apps, locks=("chat", "catalog"))

    assert {group.name: group.streams for group in find_groups(root=root)} == {"catalog": False, "chat": True}


def test_a_function_without_a_lock_is_refused_with_what_to_do(tmp_path: Path) -> None:
    root = _project(tmp_path, {"chat": "", "billing": ""}, locks=("chat",))

    with pytest.raises(PackageError, match=r"functions/billing has no lock: .*'billing'.*`make lock`"):
        find_groups(root=root)


def test_only_the_named_functions_are_found(tmp_path: Path) -> None:
    root = _project(tmp_path, {"chat": "", "billing": ""}, locks=("chat", "billing"))

    assert [group.name for group in find_groups(["billing"], root)] == ["billing"]


def test_a_name_that_is_no_function_is_refused_with_those_there_are(tmp_path: Path) -> None:
    root = _project(tmp_path, {"chat": "", "billing": ""}, locks=("chat", "billing"))

    with pytest.raises(PackageError, match=r"no functions/chats/app\.py; the groups are billing, chat"):
        find_groups(["chats"], root)
