"""Reading a client's JSON by hand, so that each refusal names its place in the client's own words."""

from collections.abc import Iterable, Mapping
from typing import Any

from shared.core.errors import InvalidRequest
from shared.providers.request_fields import PRICED_CACHE_TIMES, UnpricedField

Object = dict[str, Any]


def invalid(path: str, rule: str) -> InvalidRequest:
    """Return the refusal of a malformed field."""
    return InvalidRequest(f"{path}: {rule}.", param=path)


def unsayable(path: str, reason: str) -> UnpricedField:
    """Return the refusal of what has no price here, or what chat cannot say."""
    return UnpricedField(f"'{path}' cannot be used here: {reason}.", param=path)


def read_object(value: object, path: str) -> Object:
    """Return the value if it is an object.

    raises  InvalidRequest
    """
    if isinstance(value, dict):
        return value
    raise invalid(path, "must be an object")


def read_list(value: object, path: str) -> list[Any]:
    """Return the value if it is a list.

    raises  InvalidRequest
    """
    if isinstance(value, list):
        return value
    raise invalid(path, "must be a list")


def read_text(value: object, path: str) -> str:
    """Return the value if it is a text, also an empty one.

    raises  InvalidRequest
    """
    if isinstance(value, str):
        return value
    raise invalid(path, "must be a text")


def read_name(value: object, path: str) -> str:
    """Return the value if it is a text with something in it.

    raises  InvalidRequest
    """
    if isinstance(value, str) and value:
        return value
    raise invalid(path, "must be a text that is not empty")


def read_flag(value: object, path: str) -> bool:
    """Return the value, False where it is null.

    raises  InvalidRequest
    """
    if value is None or isinstance(value, bool):
        return bool(value)
    raise invalid(path, "must be true or false")


def refuse_unknown_keys(value: Mapping[str, Any], known: Iterable[str], path: str) -> None:
    """Refuse what we would otherwise drop without a word; null asks for nothing.

    raises  InvalidRequest naming the key
    """
    for name, content in value.items():
        if content is not None and name not in known:
            raise invalid(f"{path}.{name}", "is not known here")


def read_cache_control(holder: Mapping[str, Any], path: str) -> Object | None:
    """Return the holder's cache breakpoint as chat writes it, which is the same.

    raises  UnpricedField for a time that has no price; InvalidRequest
    """
    value = holder.get("cache_control")
    if value is None:
        return None
    path = f"{path}.cache_control".removeprefix(".")
    fields = read_object(value, path)
    refuse_unknown_keys(fields, ("type", "ttl"), path)
    if fields.get("type") != "ephemeral":
        raise invalid(f"{path}.type", "must be 'ephemeral'")
    ttl = fields.get("ttl")
    if ttl not in PRICED_CACHE_TIMES:
        raise unsayable(f"{path}.ttl", "only cache writes for five minutes have a price")
    return {"type": "ephemeral"} if ttl is None else {"type": "ephemeral", "ttl": ttl}
