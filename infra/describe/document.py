"""One OpenAPI document of all functions' own."""

import json
from collections.abc import Mapping
from typing import Any

Description = dict[str, Any]

TITLE = "AI gateway"
ABOUT = (
    "One OpenAI-compatible API over many model providers. Every path answers at one base URL; each tag is a function. "
    "What the fields mean, and every refusal by its code: docs/api.md."
)
# Each application's own parts are of these kinds, all of them by name.
COMPONENTS = ("responses", "schemas", "securitySchemes")


class NameTaken(Exception):
    """Two functions describe different things under one name."""


def merge(descriptions: Mapping[str, Description]) -> Description:
    """Return one description of everything, each operation under the tag of its function.

    raises  NameTaken when two functions answer one path, or name two things alike
    """
    paths: Description = {}
    components: dict[str, Description] = {kind: {} for kind in COMPONENTS}
    for group, description in descriptions.items():
        for path, operations in _with_aliases(description["paths"]).items():
            _put(paths, path, {method: _tagged(operation, group) for method, operation in operations.items()})
        for kind, parts in description.get("components", {}).items():
            for name, part in parts.items():
                _put(components[kind], name, part)
    return {
        "openapi": next(iter(descriptions.values()))["openapi"],
        "info": {"title": TITLE, "version": next(iter(descriptions.values()))["info"]["version"], "description": ABOUT},
        "tags": [{"name": group} for group in descriptions],
        "paths": paths,
        "components": {kind: dict(sorted(parts.items())) for kind, parts in components.items()},
    }


def document_text(document: Description) -> str:
    """Return the document as a file: a line for each operation and each part, so that a change is seen where it is."""
    return _lines(document, depth=0) + "\n"


def _put(parts: Description, name: str, part: Any) -> None:
    if parts.setdefault(name, part) != part:
        raise NameTaken(f"{name} is described by two functions, differently")


def _with_aliases(paths: Description) -> Description:
    """Name in each operation that is another's second name the first one: the route that stands nearest its function.

    Routes are described as they are added, and of several above one function the lowest is added first.
    """
    routes = [(path, method) for path, operations in paths.items() for method in operations]
    canonical = {_endpoint(paths[path][method]): f"{method.upper()} {path}" for path, method in routes}
    found: Description = {}
    for path, method in routes:
        operation = paths[path][method]
        first = canonical[_endpoint(operation)]
        alias = {} if first == f"{method.upper()} {path}" else {"x-alias-of": first}
        found.setdefault(path, {})[method] = operation | alias
    return found


def _endpoint(operation: Description) -> tuple[str, str]:
    """Return what names the function behind an operation: FastAPI makes a summary of its name."""
    return operation["summary"], operation.get("description", "")


def _tagged(operation: Description, group: str) -> Description:
    """Say in the summary what the first sentence of the function behind it does; the rest is for whoever writes it."""
    kept = {name: part for name, part in operation.items() if name not in {"description", "summary"}}
    text = str(operation.get("description") or operation["summary"])
    said = " ".join(text.split("\n\n", maxsplit=1)[0].split())
    return {"tags": [group], "summary": said, **kept}


# paths, a path, an operation; components, a kind, a part.
_LINES_TO_DEPTH = 3


def _lines(part: Any, depth: int) -> str:
    if not isinstance(part, dict) or not part or depth == _LINES_TO_DEPTH:
        return json.dumps(part, ensure_ascii=False, separators=(",", ":"))
    members = [f"{json.dumps(name)}: {_lines(each, depth + 1)}" for name, each in part.items()]
    return "{\n" + ",\n".join(members) + "\n}"
