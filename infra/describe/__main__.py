"""Write what is made from the code: the merged OpenAPI file, and the tables of docs/ between their marks.

python -m infra.describe [--check]

With --check nothing is written; exit status 1 when something is not as the code says.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from infra.describe.applications import load_applications
from infra.describe.document import document_text, merge
from infra.describe.marks import MarkMissing, with_part
from infra.describe.packages import package_table
from infra.describe.refusals import AmbiguousRefusal, refusal_table
from infra.describe.routes import route_table
from infra.describe.variables import variable_list, variable_table
from infra.package.groups import ROOT

# In the folder of the function that serves it, so that its bundle has it and needs no other function's code.
DOCUMENT = ROOT / "functions" / "catalog" / "openapi.json"
REMEDY = "run `make describe` and commit what it writes"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write or compare, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m infra.describe")
    parser.add_argument("--check", action="store_true", help="write nothing, say what is out of date")
    options = parser.parse_args(arguments)
    try:
        files = described()
    except (AmbiguousRefusal, MarkMissing) as error:
        print(f"infra.describe: {error}", file=sys.stderr)
        return 1
    stale = [path for path, text in files.items() if not path.is_file() or path.read_text() != text]
    for path in stale:
        name = path.relative_to(ROOT)
        if options.check:
            print(f"{name} is not as the code says; {REMEDY}", file=sys.stderr)
        else:
            path.write_text(files[path])
            print(f"wrote {name}")
    return 1 if options.check and stale else 0


def described() -> dict[Path, str]:
    """Return every file that is written from the code, as it has to be.

    raises  AmbiguousRefusal, MarkMissing
    """
    document = merge({name: each.openapi() for name, each in load_applications().items()})
    pages = ROOT / "docs"
    api, environment, structure = pages / "api.md", pages / "environment.md", pages / "project-structure.md"
    api_text = with_part(api.read_text(), "routes", route_table(document))
    environment_text = with_part(environment.read_text(), "variables", variable_list())
    return {
        DOCUMENT: document_text(document),
        api: with_part(api_text, "errors", refusal_table()),
        environment: with_part(environment_text, "functions", variable_table()),
        structure: with_part(structure.read_text(), "packages", package_table()),
    }


if __name__ == "__main__":
    sys.exit(main())
