"""The parts of a page that a command writes; what stands around them is written by hand."""

from collections.abc import Sequence

END = "<!-- end of what is written -->\n"


class MarkMissing(Exception):
    """A page lacks the marks of a part; the message says which."""


def with_part(text: str, name: str, part: str) -> str:
    """Return the page with this part between its marks.

    raises  MarkMissing
    """
    begin = f"<!-- {name}, written by `make describe` -->\n"
    before, found, rest = text.partition(begin)
    _, end, after = rest.partition(END)
    if not found or not end:
        raise MarkMissing(f"the page lacks the marks {begin.strip()} and {END.strip()}")
    return f"{before}{begin}\n{part}\n{END}{after}"


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table in Markdown."""
    lines = ["|" + "".join(f" {cell} |" if cell else " |" for cell in cells) for cells in (head, *rows)]
    lines.insert(1, "|" + "---|" * len(head))
    return "\n".join(lines) + "\n"
