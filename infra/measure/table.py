"""The table of functions in README.md."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

BEGIN = "<!-- written by `python -m infra.measure --write` -->\n"
END = "<!-- end of what is written -->\n"
COLUMNS = ("function", "unzipped MB", "modules imported", "import CPU, ms", "times `import fastapi, aiohttp`")
HEAD = f"| {' | '.join(COLUMNS)} |\n|---|--:|--:|--:|--:|\n"
ROW = re.compile(r"\| `(\w+)` \| ([\d.]+) \| (\d+) \| (\d+) \| ([\d.]+) \|")


@dataclass(frozen=True, slots=True)
class Row:
    """One function."""

    group: str
    unzipped_mb: float
    modules: int
    import_ms: float
    ratio: float


def format_table(rows: Sequence[Row]) -> str:
    """Return the table in Markdown."""
    lines = (
        f"| `{row.group}` | {row.unzipped_mb:.1f} | {row.modules} | {row.import_ms:.0f} | {row.ratio:.2f} |\n"
        for row in rows
    )
    return HEAD + "".join(lines)


def write_table(file: Path, rows: Sequence[Row]) -> None:
    """Put the table between its two marks.

    raises  ValueError when a mark is missing
    """
    text = file.read_text()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{file.name} lacks the marks {BEGIN.strip()} and {END.strip()}")
    file.write_text(f"{before}{BEGIN}\n{format_table(rows)}\n{END}{after}")


def read_table(file: Path) -> dict[str, Row]:
    """Return what the table says of each function."""
    _, _, rest = file.read_text().partition(BEGIN)
    table, _, _ = rest.partition(END)
    return {
        group: Row(group, float(unzipped_mb), int(modules), float(import_ms), float(ratio))
        for group, unzipped_mb, modules, import_ms, ratio in ROW.findall(table)
    }
