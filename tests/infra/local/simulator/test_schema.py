"""Values made from schemas."""

from typing import Any

import pytest

from infra.local.simulator.schema import example_of


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string"}, "text"),
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "integer"}, 1),
        ({"type": "integer", "minimum": 18}, 18),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "number"}, 1.0),
        ({"type": "boolean"}, True),
        ({"type": "null"}, None),
        ({"type": ["integer", "null"]}, 1),
        ({"enum": ["red", "blue"]}, "red"),
        ({"const": 4}, 4),
        ({"type": "array", "items": {"type": "integer"}, "minItems": 2}, [1, 1]),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"properties": {"a": {"type": "string"}}}, {"a": "text"}),
        ({"type": "object", "required": ["b"]}, {"b": "text"}),
        ({"$defs": {"d": {"type": "integer"}}, "properties": {"a": {"$ref": "#/$defs/d"}}}, {"a": 1}),
        ("not a schema", "text"),
    ],
)
def test_the_value_satisfies_the_schema(schema: object, value: Any) -> None:
    assert example_of(schema) == value


def test_a_schema_that_refers_to_itself_ends() -> None:
    node = {"type": "object", "properties": {"next": {"$ref": "#"}, "all": {"type": "array", "items": {"$ref": "#"}}}}
    assert "next" in example_of(node)
    assert example_of({"type": "object", "properties": {"n": {"$ref": "#"}}, "required": ["n"]})
    assert example_of({"$ref": "#"}) == "text"
