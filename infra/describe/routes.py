"""The table of routes: what each asks for, and which function answers."""

from infra.describe.document import Description
from infra.describe.marks import table

HEAD = ("method, path", "also", "scope", "function", "")
# What opens a route that no scope does.
_SCHEMES = {"admin": "admin", "cron_secret": "`CRON_SECRET`"}


def route_table(document: Description) -> str:
    """Return the table, a row for each route with its other names, by function."""
    also: dict[str, list[str]] = {}
    rows: list[tuple[str, Description]] = []
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            name = f"{method.upper()} {path}"
            if (canonical := operation.get("x-alias-of")) is None:
                rows.append((name, operation))
            else:
                also.setdefault(canonical, []).append(name)
    rows.sort(key=lambda row: (row[1]["tags"], row[0].partition(" ")[2], row[0]))
    return table(
        HEAD,
        [
            (name, _shorter(name, also.get(name, [])), _access(operation), *operation["tags"], operation["summary"])
            for name, operation in rows
        ],
    )


def _shorter(name: str, others: list[str]) -> str:
    """Return the other names, each without what it has in common with the first."""
    method, _, path = name.partition(" ")
    kept = [other.removeprefix(f"{method} ").removesuffix(f" {path}") for other in others]
    return ", ".join(sorted(kept))


def _access(operation: Description) -> str:
    """Return the scope, any key, the secret of our own scheduler, a signature of somebody else's, or none of them."""
    if "x-scope" in operation:
        return f"`{operation['x-scope']}`"
    if security := operation["security"]:
        return _SCHEMES.get(next(iter(security[0])), "any key")
    headers = (each["name"].lower() for each in operation.get("parameters", ()) if each["in"] == "header")
    return "signed" if any(name.endswith("-signature") for name in headers) else "none"
