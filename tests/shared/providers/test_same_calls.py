"""Calls of tools are told apart alike in both dialects that have to, however their provider numbers their pieces."""

import json
from typing import Any

import pytest

from tests.shared.providers.messages.asking import call, content, delta, streamed
from tests.shared.providers.responses.grammar import check_stream
from tests.shared.providers.responses.support import stream_of

X, Y = '{"x":1}', '{"y":2}'
SCRIPTS: dict[str, tuple[list[Any], list[tuple[str, str]]]] = {
    "another id with every piece": (
        [call(0, "a1", "f", '{"x"'), call(0, "a2", "f", ":1"), call(0, "a3", "f", "}")],
        [("f", X)],
    ),
    "another id with the first arguments": ([call(0, "a1", "f", X[:3]), call(0, "a2", "f", X[3:])], [("f", X)]),
    "another name ends a call that was cut": (
        [call(0, "a", "f", '{"x":1'), call(0, "b", "g", Y)],
        [("f", '{"x":1'), ("g", Y)],
    ),
    "one index for all": ([call(0, "a", "f", X), call(0, "b", "f", X)], [("f", X), ("f", X)]),
    "no index": ([call(None, "a", "f", X), call(None, "b", "g", Y)], [("f", X), ("g", Y)]),
    "mixed": (
        [call(0, "a", "f", '{"x"'), call(1, "b", "g", '{"y"'), call(0, arguments=":1}"), call(1, arguments=":2}")],
        [("f", X), ("g", Y)],
    ),
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_same_pieces_are_the_same_calls(script: str) -> None:
    pieces, said = SCRIPTS[script]
    chunks = [*(delta(tool_calls=[piece]) for piece in pieces), delta("tool_calls")]
    response = check_stream(stream_of(chunks))
    assert [(item["name"], item["arguments"]) for item in response["output"]] == said
    shown = [(block["name"], block["input"]) for block in content(streamed(chunks))]
    assert shown == [(name, _input(arguments)) for name, arguments in said]


def _input(arguments: str) -> dict[str, Any]:
    try:
        read: dict[str, Any] = json.loads(arguments)
    except ValueError:
        return {"INVALID_JSON": arguments}
    return read
