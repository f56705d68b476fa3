"""Lists: newest first, filtered, in pages."""

from collections.abc import Callable

from infra.local.stripe_double.refusals import InvalidRequest, Json, NotModelled, ResourceMissing
from infra.local.stripe_double.shapes import list_of

DEFAULT_LIMIT = 10
MAX_LIMIT = 100
PAGING = frozenset({"limit", "starting_after", "ending_before", "expand"})
COMPARISONS: dict[str, Callable[[int, int], bool]] = {
    "gt": lambda value, bound: value > bound,
    "gte": lambda value, bound: value >= bound,
    "lt": lambda value, bound: value < bound,
    "lte": lambda value, bound: value <= bound,
}

Matches = Callable[[Json, object], bool]


def field_is(name: str) -> Matches:
    """Return a filter on a field."""
    return lambda row, wanted: row.get(name) == wanted


def list_rows(rows: list[Json], params: Json, url: str, filters: dict[str, Matches]) -> Json:
    """Return a page of the rows that pass every filter named in the parameters.

    raises  InvalidRequest, NotModelled
    """
    for name, wanted in params.items():
        if name == "created":
            rows = [row for row in rows if _is_created(row, wanted)]
        elif name not in PAGING and name not in filters:
            raise NotModelled(name)
        elif name not in PAGING:
            rows = [row for row in rows if filters[name](row, wanted)]
    return _page(rows, params, url)


def _page(rows: list[Json], params: Json, url: str) -> Json:
    limit = params.get("limit", DEFAULT_LIMIT)
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidRequest(
            f"This value must be between 1 and {MAX_LIMIT}.", param="limit", code="parameter_invalid_integer"
        )
    if "starting_after" in params:
        rows = rows[_index(rows, params, "starting_after") + 1 :]
    if "ending_before" in params:
        rows = rows[: _index(rows, params, "ending_before")]
        return list_of(rows[-limit:], url, has_more=len(rows) > limit)
    return list_of(rows[:limit], url, has_more=len(rows) > limit)


def _index(rows: list[Json], params: Json, name: str) -> int:
    for index, row in enumerate(rows):
        if row["id"] == params[name]:
            return index
    raise ResourceMissing("object", params[name], param=name)


def _is_created(row: Json, wanted: int | dict[str, int]) -> bool:
    if isinstance(wanted, int):
        return bool(row["created"] == wanted)
    return all(COMPARISONS[name](row["created"], bound) for name, bound in wanted.items())
