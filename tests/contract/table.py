"""The table of clients and features as docs/api.md has it."""

import json
import re

from infra.local.stack import ROOT
from tests.contract.matrix import CLIENTS, FEATURES, NOT_OFFERED, REMARKS, Cell, Client, Result

PAGE = ROOT / "docs" / "api.md"
BEGIN = "<!-- written by `make contract-table` -->\n"
END = "<!-- end of what is written -->\n"
NOT_OFFERED_SIGN = "—"
FAILED_SIGN = "✗"
FOOTNOTES = NOT_OFFERED | REMARKS
TEXTS = tuple(dict.fromkeys(FOOTNOTES.values()))


def draw(results: dict[Cell, Result]) -> str:
    """Return the table and its footnotes; a cell that nothing showed fails."""
    titles = [f"{client.title} {version_of(client)}" for client in CLIENTS.values()]
    rows = [("", *titles), ("---",) * (len(titles) + 1)]
    for feature, title in FEATURES.items():
        rows.append((title, *(_sign(Cell(client, feature), results) for client in CLIENTS)))
    table = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([*table, "", *(f"{number}. {reason}" for number, reason in enumerate(TEXTS, 1))]) + "\n"


def write_table(results: dict[Cell, Result]) -> None:
    """Put the table between its two marks.

    raises  ValueError when a mark is missing
    """
    before, _, after = _parts()
    PAGE.write_text(f"{before}{BEGIN}\n{draw(results)}\n{END}{after}")


def read_table() -> str:
    """Return what stands between the two marks."""
    return _parts()[1].strip() + "\n"


def signs_of(table: str) -> dict[Cell, str]:
    """Return what a table says of each cell, without the number of its footnote."""
    lines = [line.strip("| ").split(" | ") for line in table.splitlines() if line.startswith("| ")]
    features = {title: feature for feature, title in FEATURES.items()}
    return {
        Cell(client, features[title]): sign.partition("<")[0]
        for title, *signs in lines
        if title in features
        for client, sign in zip(CLIENTS, signs, strict=True)
    }


def version_of(client: Client) -> str:
    """Return the version that the lock holds.

    raises  ValueError when it holds none
    """
    lock = (ROOT / client.lock).read_text()
    if client.lock.endswith(".json"):
        return str(json.loads(lock)["packages"][f"node_modules/{client.package}"]["version"])
    found = re.search(rf"^{re.escape(client.package)}==(\S+)", lock, re.MULTILINE)
    if found is None:
        raise ValueError(f"{client.lock} does not hold {client.package}; run `make lock`")
    return found[1]


def _parts() -> tuple[str, str, str]:
    before, begin, rest = PAGE.read_text().partition(BEGIN)
    table, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"{PAGE.name} lacks the marks {BEGIN.strip()} and {END.strip()}")
    return before, table, after


def _sign(cell: Cell, results: dict[Cell, Result]) -> str:
    sign = NOT_OFFERED_SIGN if cell in NOT_OFFERED else results.get(cell, FAILED_SIGN)
    return f"{sign}<sup>{TEXTS.index(FOOTNOTES[cell]) + 1}</sup>" if cell in FOOTNOTES else sign
