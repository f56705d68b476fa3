"""What the fields of a Responses request must be; every refusal names the field as the client wrote it."""

from collections.abc import Collection, Iterator, Mapping
from typing import Any, NoReturn

from shared.core.errors import InvalidRequest
from shared.providers.request_fields import PRICED_CACHE_TIMES, UnpricedField

# Longer names of the client's are not repeated in an error.
_MAX_QUOTED_CHARACTERS = 40


def refuse_malformed(path: str, rule: str) -> NoReturn:
    """Refuse a field that is not what the contract says.

    raises  InvalidRequest
    """
    raise InvalidRequest(f"{path}: {rule}.", param=path)


def refuse_unsupported(path: str, reason: str) -> NoReturn:
    """Refuse a field that has no price here, or that the model's provider could not be told.

    raises  UnpricedField
    """
    raise UnpricedField(f"'{path}' cannot be used here: {reason}.", param=path)


def read_text(value: object, path: str, *, max_length: int | None = None) -> str:
    """Return a string.

    raises  InvalidRequest
    """
    if not isinstance(value, str):
        refuse_malformed(path, "must be a string")
    if max_length is not None and len(value) > max_length:
        refuse_malformed(path, f"must be at most {max_length} characters")
    return value


def read_name(value: object, path: str) -> str:
    """Return a string that is not empty.

    raises  InvalidRequest
    """
    if not isinstance(value, str) or not value:
        refuse_malformed(path, "must be a string that is not empty")
    return value


def read_object(value: object, path: str) -> Mapping[str, Any]:
    """Return an object.

    raises  InvalidRequest
    """
    if not isinstance(value, Mapping):
        refuse_malformed(path, "must be an object")
    return value


def read_objects(value: object, path: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the objects of a list, each with its path.

    raises  InvalidRequest
    """
    if not isinstance(value, list):
        refuse_malformed(path, "must be a list")
    for index, entry in enumerate(value):
        entry_path = f"{path}[{index}]"
        yield entry_path, read_object(entry, entry_path)


def read_flag(value: object, path: str) -> bool:
    """Return a boolean.

    raises  InvalidRequest
    """
    if not isinstance(value, bool):
        refuse_malformed(path, "must be true or false")
    return value


def read_whole(value: object, path: str, *, least: int, most: int) -> int:
    """Return a whole number within bounds.

    raises  InvalidRequest
    """
    if type(value) is not int or not least <= value <= most:
        refuse_malformed(path, f"must be a whole number from {least} to {most}")
    return value


def read_number(value: object, path: str, *, least: float, most: float) -> float:
    """Return a number within bounds, as it came.

    raises  InvalidRequest
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        refuse_malformed(path, f"must be a number from {least:g} to {most:g}")
    return value


def read_choice(value: object, path: str, choices: Collection[str]) -> str:
    """Return one of the words that are allowed.

    raises  InvalidRequest
    """
    if not isinstance(value, str) or value not in choices:
        refuse_malformed(path, f"must be one of {', '.join(sorted(choices))}")
    return value


def refuse_others(holder: Mapping[str, Any], path: str, known: Collection[str]) -> None:
    """Refuse the fields of an object that are neither known nor null.

    raises  UnpricedField
    """
    for name, value in holder.items():
        if name not in known and value is not None:
            is_shown = name.isidentifier() and name.isascii() and len(name) <= _MAX_QUOTED_CHARACTERS
            steps = [step for step in (path, name if is_shown else "") if step]
            refuse_unsupported(".".join(steps) or "request", "the field is not known here")


def cache_mark(holder: Mapping[str, Any], path: str) -> dict[str, Any]:
    """Return the holder's `cache_control` as chat says it too, an empty object where there is none.

    raises  InvalidRequest, UnpricedField
    """
    mark = holder.get("cache_control")
    if mark is None:
        return {}
    if read_object(mark, f"{path}.cache_control").get("ttl") not in PRICED_CACHE_TIMES:
        refuse_unsupported(f"{path}.cache_control.ttl", "only cache writes for five minutes have a price")
    return {"cache_control": mark}
