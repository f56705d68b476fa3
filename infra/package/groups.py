"""The endpoint groups: every folder of functions/ with an app.py is one function."""

import ast
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from infra.package.failure import PackageError

ROOT = Path(__file__).parents[2]
# What Lambda calls in a function that does not stream; a function without it is a server of its own.
LAMBDA_ENTRY = "handler"
# Dependency groups that an operator may add to a function.
OPTIONAL_GROUPS = ("otel",)


@dataclass(frozen=True, slots=True)
class Group:
    """One deployable function."""

    name: str
    folder: Path
    lock: Path

    @property
    def streams(self) -> bool:
        """Whether the function runs as a server behind the Lambda Web Adapter, because only so it can stream."""
        statements = ast.parse((self.folder / "app.py").read_text()).body
        targets = (target for each in statements if isinstance(each, ast.Assign) for target in each.targets)
        return not any(isinstance(target, ast.Name) and target.id == LAMBDA_ENTRY for target in targets)


def find_groups(names: Sequence[str] = (), root: Path = ROOT) -> list[Group]:
    """Return the groups of these names, or all of them.

    raises  PackageError for a name that is no group and for a group without a lock
    """
    found = {path.parent.name: path.parent for path in sorted(root.glob("functions/*/app.py"))}
    if unknown := [name for name in names if name not in found]:
        raise PackageError(f"there is no functions/{unknown[0]}/app.py; the groups are {', '.join(found)}")
    groups = [
        Group(name, folder, root / "infra" / "requirements" / f"{name}.txt")
        for name, folder in found.items()
        if not names or name in names
    ]
    if unlocked := next((group for group in groups if not group.lock.is_file()), None):
        raise PackageError(
            f"functions/{unlocked.name} has no lock: add the dependency group {unlocked.name!r} to pyproject.toml, "
            "then run `make lock`"
        )
    return groups
