"""The table of packages: what each folder is, by the first line of its own docstring."""

import ast
from pathlib import Path

from infra.describe.marks import table
from infra.package.groups import ROOT

TOP = ("functions", "shared", "infra", "tests")


def package_table() -> str:
    """Return the table of the folders of the four top packages that say what they are."""
    found = sorted(path.parent for top in TOP for path in (ROOT / top).glob("*/__init__.py"))
    found.sort(key=lambda folder: TOP.index(folder.parent.name))
    rows = [(f"`{folder.relative_to(ROOT).as_posix()}/`", said) for folder in found if (said := _said(folder))]
    return table(("folder", "what it is"), rows)


def _said(folder: Path) -> str:
    docstring = ast.get_docstring(ast.parse((folder / "__init__.py").read_text())) or ""
    return " ".join(docstring.split("\n\n", maxsplit=1)[0].split())
