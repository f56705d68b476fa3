"""Lists as CSV, for whoever opens them in a spreadsheet."""

import csv
import io
import re
from collections.abc import Sequence

import msgspec
from starlette.requests import Request

# Of the longest names a line has some 800 bytes, and an answer on Vercel at most 4.5 MB.
MAX_CSV_LINES = 5_000
# What a spreadsheet takes for a formula, and would run. Full-width signs count in some.
# source: https://owasp.org/www-community/attacks/CSV_Injection
FORMULA_SIGNS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
# Where it reads semicolons or tabs as the ends of cells, a cell begins in the middle of a text.
_INNER_FORMULA = re.compile(r"(?<=[;\t\r\n])(?=\s*[=+\-@\uff1d\uff0b\uff0d\uff20])")
# source: https://www.rfc-editor.org/rfc/rfc9110#section-12.4.2
_QUALITY = re.compile(r";\s*q\s*=\s*([01](?:\.\d{0,3})?)\s*(?:;|$)", re.IGNORECASE)


def wants_csv(request: Request) -> bool:
    """Whether the caller names text/csv among what he accepts, and JSON is not dearer to him."""
    qualities = dict(_quality(part) for part in request.headers.get("accept", "").split(","))
    return qualities.get("text/csv", 0) > 0 and qualities["text/csv"] >= qualities.get("application/json", 0)


def _quality(part: str) -> tuple[str, float]:
    kind, _, _ = part.partition(";")
    given = _QUALITY.search(part)
    return kind.strip().lower(), float(given[1]) if given else 1.0


def csv_text(struct: type[msgspec.Struct], lines: Sequence[msgspec.Struct]) -> str:
    """Write the fields of each line under their names.

    source  https://www.rfc-editor.org/rfc/rfc4180
    """
    names = struct.__struct_fields__
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(names)
    writer.writerows([_field(getattr(line, name), name) for name in names] for line in lines)
    return text.getvalue()


def _field(value: object, name: str) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    # The one text that may begin with a sign and is a number: what went from a balance.
    if isinstance(value, int) or name == "amount":
        return str(value)
    text = _INNER_FORMULA.sub("'", str(value))
    return f"'{text}" if text.startswith(FORMULA_SIGNS) else text
