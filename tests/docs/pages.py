"""The pages as tests read them: their blocks of commands, their tables, their headings."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted(ROOT.glob("docs/*.md")))
_SHELL = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
_FENCED = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)


def section(page: str, heading: str) -> str:
    """Return what stands under a heading, up to the next one of its rank or above."""
    text = (ROOT / "docs" / page).read_text()
    mark = re.search(rf"^(#+) {re.escape(heading)}$", text, re.MULTILINE)
    assert mark is not None, f"{page} has no heading {heading}"
    rest = text[mark.end() :]
    end = re.search(rf"^#{{1,{len(mark[1])}}} ", rest, re.MULTILINE)
    return rest[: end.start()] if end else rest


def commands(page: str, heading: str | None = None) -> list[str]:
    """Return the blocks of shell commands of a page, or of a part of it."""
    return _SHELL.findall((ROOT / "docs" / page).read_text() if heading is None else section(page, heading))


def rows(page: str, heading: str) -> list[list[str]]:
    """Return the cells of the table under a heading, without its head."""
    lines = [line for line in section(page, heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines[2:]]


def anchors(path: Path) -> set[str]:
    """Return what a link may name behind #, as GitHub makes it of the headings."""
    headings = _HEADING.findall(_FENCED.sub("", path.read_text()))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
