"""Which method of which resource of a REST API answers a request.

A resource is found together with its method, and where the most specific one has no such method, a less specific one
that has it answers: measured against AWS in https://github.com/ministackorg/ministack/pull/1423 and
https://github.com/floci-io/floci/pull/3399.
"""

from collections.abc import Iterable, Mapping

from tests.deploy.aws.deployed import Route


def find_route(routes: Iterable[Route], method: str, path: str) -> tuple[Route, Mapping[str, str]] | None:
    """Return the most specific route, with the path's parameters; a slash at the end does not count."""
    found = [
        (route, parameters)
        for route in routes
        if route.method in (method, "ANY") and (parameters := _match(route.resource, path)) is not None
    ]
    return min(found, key=lambda match: _generality(match[0]), default=None)


def _match(resource: str, path: str) -> Mapping[str, str] | None:
    wanted, given = _segments(resource), _segments(path)
    parameters: dict[str, str] = {}
    for place, segment in enumerate(wanted):
        if segment.endswith("+}"):
            rest = given[place:]
            return {**parameters, segment[1:-2]: "/".join(rest)} if rest else None
        if place >= len(given):
            return None
        if segment.startswith("{"):
            parameters[segment[1:-1]] = given[place]
        elif segment != given[place]:
            return None
    return parameters if len(wanted) == len(given) else None


def _generality(route: Route) -> tuple[list[int], bool]:
    """Order by the first segment that differs: a name of its own, then {name}, then {name+}; ANY comes last."""
    kinds = [segment.startswith("{") + segment.endswith("+}") for segment in _segments(route.resource)]
    return kinds, route.method == "ANY"


def _segments(path: str) -> list[str]:
    stripped = path.strip("/")
    return stripped.split("/") if stripped else []
