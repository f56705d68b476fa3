"""A JSON value that satisfies a simple JSON schema, always the same one for the same schema."""

from collections.abc import Mapping
from typing import Any

# A schema that refers to itself would never end; below this depth only what is required is filled in.
MAX_DEPTH = 6
HARD_DEPTH = 32
MAX_ITEMS = 100
MAX_LENGTH = 10_000


def example_of(schema: object) -> Any:
    """Return a value that satisfies the schema: every property filled in, arrays as short as they may be.

    shape   understands type, properties, required, items, enum, const, anyOf, oneOf, allOf, $ref, minimum, maximum,
            minItems, minLength; ignores the rest
    """
    root = schema if isinstance(schema, Mapping) else {}
    return _value(root, root, 0)


def _value(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Any:
    if depth > HARD_DEPTH:
        return None
    schema = _resolve(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return schema["enum"][0]
    kind = _type_of(schema)
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        return _array(schema, root, depth)
    return _plain(schema, kind)


def _plain(schema: Mapping[str, Any], kind: str) -> str | int | float | bool | None:
    match kind:
        case "integer" | "number":
            number = _number(schema, "minimum", min(1, _number(schema, "maximum", 1)))
            return float(number) if kind == "number" else number
        case "boolean":
            return True
        case "null":
            return None
        case _:
            return "text".ljust(min(_number(schema, "minLength"), MAX_LENGTH), "x")


def _object(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> dict[str, Any]:
    properties = schema.get("properties")
    properties = properties if isinstance(properties, Mapping) else {}
    required = schema.get("required")
    required = required if isinstance(required, list) else []
    names = list(properties) if depth < MAX_DEPTH else [name for name in properties if name in required]
    names += [name for name in required if isinstance(name, str) and name not in properties]
    return {name: _value(_as_schema(properties.get(name)), root, depth + 1) for name in names}


def _array(schema: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> list[Any]:
    length = min(_number(schema, "minItems", 0 if depth >= MAX_DEPTH else 1), MAX_ITEMS)
    return [_value(_as_schema(schema.get("items")), root, depth + 1) for _ in range(length)]


def _resolve(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    for _ in range(HARD_DEPTH):
        reference = schema.get("$ref")
        alternatives = schema.get("anyOf") or schema.get("oneOf")
        if isinstance(reference, str):
            schema = _follow(reference, root)
        elif isinstance(alternatives, list):
            schema = _as_schema(alternatives[0])
        elif isinstance(schema.get("allOf"), list):
            schema = {name: value for part in schema["allOf"] for name, value in _as_schema(part).items()}
        else:
            return schema
    return {}


def _follow(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        if part:
            found = _as_schema(found).get(part)
    return _as_schema(found)


def _type_of(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type")
    if isinstance(kind, list) and kind:
        kind = kind[0]
    if isinstance(kind, str):
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema else "string"


def _number(schema: Mapping[str, Any], name: str, default: int = 0) -> int:
    value = schema.get(name)
    return int(value) if isinstance(value, int | float) and abs(value) < 10**9 else default


def _as_schema(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
