"""The pages hold together: each is found from the index, each link leads somewhere, what they quote is said."""

import re
from pathlib import Path

import pytest

from tests.docs.pages import PAGES, ROOT, anchors, rows

LINK = re.compile(r"\]\((?!https?:)([^)#\s]*)#([^)\s]+)\)")
QUOTED = re.compile(r"`([^`]+)`")
CODE = re.compile(r"^\| `([a-z_]+)` \| (\d{3}) \|", re.MULTILINE)
# Which pages there are to be; another one may come beside them.
EXPECTED = {
    *("index", "setup", "architecture", "project-structure", "environment", "api", "email-features"),
    *("privy-authentication", "operations", "deployment", "troubleshooting", "contributing"),
}


def test_every_page_is_there_and_found_from_the_index() -> None:
    pages = {path.stem for path in ROOT.glob("docs/*.md")}
    assert pages >= EXPECTED
    linked = set(re.findall(r"\]\(([\w-]+)\.md", (ROOT / "docs" / "index.md").read_text()))
    assert linked == pages - {"index"}
    assert "(docs/index.md)" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_link_to_a_part_of_a_page_finds_it(page: Path) -> None:
    missing = [
        f"{name}#{anchor}"
        for name, anchor in LINK.findall(page.read_text())
        if anchor not in anchors((page.parent / name) if name else page)
    ]
    assert missing == []


def test_what_troubleshooting_quotes_of_a_machine_is_said_by_the_stack_or_make() -> None:
    said = (ROOT / "Makefile").read_text()
    said += "".join(path.read_text() for path in (ROOT / "infra" / "local").rglob("*.py"))
    quoted = [QUOTED.findall(row[0])[0] for row in rows("troubleshooting.md", "On your machine")]
    assert len(quoted) > 5
    assert [text for text in quoted if text not in said] == []


def test_every_code_that_troubleshooting_names_has_that_status() -> None:
    documented = dict(CODE.findall((ROOT / "docs" / "api.md").read_text()))
    named = [
        (match[1], match[2])
        for row in rows("troubleshooting.md", "After a deployment")
        for match in re.finditer(r"(\d{3}) `([a-z_]+)`", row[0])
    ]
    assert len(named) > 8
    assert [(status, code) for status, code in named if documented[code] != status] == []


def test_every_event_that_a_page_explains_is_logged() -> None:
    code = "".join(path.read_text() for top in ("shared", "functions") for path in (ROOT / top).rglob("*.py"))
    events = [name for row in rows("troubleshooting.md", "In the log") for name in QUOTED.findall(row[0])]
    assert len(events) > 10
    assert [name for name in events if f'"{name}"' not in code] == []
