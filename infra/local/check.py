"""Checks that no linter makes: who reads the environment, what the SQL may use, that migrations apply from zero.

python -m infra.local.check
"""

import re
import sys
import tempfile
from pathlib import Path

from infra.local.migrate import SUPABASE_FOLDER, apply_migrations, apply_seed
from infra.local.processes import StackError
from infra.local.stack import ROOT, LocalStack

READS_ENVIRONMENT = re.compile(r"\bos\.(environ|environb|getenv)\b|\bfrom os import\b.*\b(environ|getenv)\b")
MAY_READ_ENVIRONMENT = "shared/core/settings.py"

# Supabase runs PostgreSQL 17, the local stack 18: what only 18 has.
ONLY_IN_18 = {
    "uuidv7()": re.compile(r"\buuidv[47]\s*\("),
    "virtual generated columns": re.compile(r"\bvirtual\b"),
    "returning old/new": re.compile(r"\breturning\b[^;]*\b(old|new)\s*\."),
    "temporal constraints": re.compile(r"\bwithout\s+overlaps\b"),
}
SQL_COMMENT = re.compile(r"--[^\n]*|/\*.*?\*/", re.DOTALL)
SQL_STRING = re.compile(r"'(?:[^']|'')*'")


def find_environment_readers(root: Path = ROOT) -> list[str]:
    """Return the product's lines that read the environment where they may not."""
    found: list[str] = []
    for path in sorted((*root.glob("shared/**/*.py"), *root.glob("functions/**/*.py"))):
        name = path.relative_to(root).as_posix()
        if name == MAY_READ_ENVIRONMENT:
            continue
        lines = enumerate(path.read_text().splitlines(), start=1)
        found += [f"{name}:{number} reads the environment" for number, line in lines if READS_ENVIRONMENT.search(line)]
    return found


def find_newer_sql(folder: Path = SUPABASE_FOLDER) -> list[str]:
    """Return what the SQL uses that PostgreSQL 17 lacks."""
    found: list[str] = []
    for path in sorted(folder.rglob("*.sql")):
        text = SQL_STRING.sub("''", SQL_COMMENT.sub(" ", path.read_text().lower()))
        found += [f"{path.name} uses {what}" for what, pattern in ONLY_IN_18.items() if pattern.search(text)]
    return found


def prove_migrations() -> list[str]:
    """Apply everything on a fresh cluster, then again: the second time must have nothing to do."""
    with tempfile.TemporaryDirectory(prefix="migrations-") as folder:
        stack = LocalStack(Path(folder), keeps_data=False)
        try:
            stack.start()
            again = apply_migrations(stack.database_url)
            apply_seed(stack.database_url)
        except StackError as error:
            return [str(error)]
        finally:
            stack.stop()
    return [f"applied twice: {', '.join(again)}"] if again else []


def main() -> int:
    """Print what is wrong; the exit status says whether something is."""
    problems = [*find_environment_readers(), *find_newer_sql(), *prove_migrations()]
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
