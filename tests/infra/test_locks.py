"""What pyproject.toml asks for is locked: for each function alone, and for all of them in the container."""

import re
import tomllib
from typing import Any

import pytest

from infra.package.groups import ROOT, Group, find_groups

GROUPS = find_groups()
LOCKS = sorted((ROOT / "infra" / "requirements").glob("*.txt"))
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
NAME = re.compile(r"[A-Za-z0-9._-]+")
LOCKED = re.compile(r"^([a-z0-9._-]+)(?:\[[^\]]*\])?==", re.MULTILINE)


def _asked_for(group: str) -> set[str]:
    """Return the packages that a dependency group names, with those of the groups it includes."""
    names: set[str] = set()
    for requirement in PROJECT["dependency-groups"][group]:
        if isinstance(requirement, dict):
            names |= _asked_for(requirement["include-group"])
        elif match := NAME.match(requirement):
            names.add(re.sub(r"[-_.]+", "-", match[0]).lower())
    return names


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_holds_what_its_group_asks_for(lock: Any) -> None:
    assert _asked_for(lock.stem) <= set(LOCKED.findall(lock.read_text()))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda lock: lock.stem)
def test_a_lock_pins_every_package_by_hash_and_says_not_where_from(lock: Any) -> None:
    packages = re.split(r"\n(?=\S)", lock.read_text().strip())
    unhashed = [package for package in packages if not package.startswith("#") and "--hash=sha256:" not in package]

    assert unhashed == []
    assert "://" not in lock.read_text()


@pytest.mark.parametrize("group", GROUPS, ids=lambda group: group.name)
def test_the_container_has_every_function_with_the_versions_of_its_own_lock(group: Group) -> None:
    container = (ROOT / "infra" / "requirements" / "container.txt").read_text()
    versions = re.compile(r"^\S+==\S+", re.MULTILINE)

    assert {"include-group": group.name} in PROJECT["dependency-groups"]["container"]
    assert set(versions.findall(group.lock.read_text())) <= set(versions.findall(container))
