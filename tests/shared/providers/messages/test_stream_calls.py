"""Calls of tools in a stream, however their pieces are numbered, named and mixed."""

import json
from typing import Any

import pytest

from shared.providers.messages.request import Echo
from shared.providers.messages.stream import MessageStream
from tests.shared.providers.messages import recorded
from tests.shared.providers.messages.asking import (
    COST,
    MODEL,
    USAGE,
    call,
    content,
    delta,
    open_stream,
    streamed,
    texts,
    whole,
)
from tests.shared.providers.messages.grammar import check_stream

A_CALL: dict[str, Any] = {"type": "tool_use", "id": "a", "name": "f", "input": {"x": 1}}
B_CALL: dict[str, Any] = {"type": "tool_use", "id": "b", "name": "g", "input": {"y": [2, {}]}}


@pytest.mark.parametrize(
    ("chunks", "calls"),
    [
        (recorded.VLLM_NAME_IN_EVERY_PIECE, [("toolu_01_1", "get_current_weather", {"location": "Paris"})]),
        (
            recorded.ALL_CALLS_INDEX_0,
            [("call_1", "get_weather", {"city": "London"}), ("call_2", "get_time", {"tz": "UTC"})],
        ),
        (
            recorded.GEMINI_WITHOUT_INDEX,
            [("function-call-1", "get_weather", {"location": "Sydney"}), ("function-call-2", "get_time", {})],
        ),
        (recorded.OLLAMA_ARGUMENTS_AS_OBJECT, [("call_1", "get_weather", {"city": "Paris"})]),
    ],
)
def test_calls_are_told_apart_however_they_are_numbered(chunks: recorded.Chunks, calls: list[Any]) -> None:
    message = streamed(chunks)
    assert [(block["id"], block["name"], block["input"]) for block in content(message)] == calls
    assert message["stop_reason"] == "tool_use"


def test_ids_that_we_make_are_short_enough_for_every_provider() -> None:
    stream = MessageStream(Echo(), message_id="msg_" + "0123456789abcdef" * 2, model=MODEL)
    parts = [stream.take(delta(tool_calls=[call(index, name="f", arguments="{}")])) for index in range(120)]
    ids = [block["id"] for block in content(check_stream(*parts, stream.complete(USAGE).with_cost(COST)))]
    assert len(set(ids)) == 120 and max(map(len, ids)) <= 40


def test_call_is_passed_on_as_it_comes() -> None:
    stream = open_stream()
    stream.take(delta(tool_calls=[call(0, "a", "f", '{"x"')]))
    assert b'"partial_json":": 1"' in stream.take(delta(tool_calls=[call(0, arguments=": 1")]))


def test_calls_that_arrive_mixed_are_written_one_after_the_other() -> None:
    chunks = [
        delta(tool_calls=[call(0, "a", "f", '{"x'), call(1, "b", "g", '{"y"')]),
        delta(tool_calls=[call(1, arguments=":[2,"), call(0, arguments='":1')]),
        delta(content="aside"),
        delta(tool_calls=[call(0, arguments="}")]),
        delta(tool_calls=[call(1, arguments="{}]}")]),
        delta("tool_calls"),
    ]
    assert content(streamed(chunks)) == [A_CALL, B_CALL, {"type": "text", "text": "aside"}]


def test_brackets_and_quotes_in_texts_end_no_arguments() -> None:
    arguments = '{"x":"}\\"]{\\\\","y":"\\\\\\""}'
    pieces = [delta(tool_calls=[call(0, arguments=character)]) for character in arguments]
    message = streamed([delta(tool_calls=[call(0, "a", "f")]), *pieces, delta(content="after")])
    assert content(message)[0]["input"] == json.loads(arguments)
    assert texts(message)[1] == "after"


@pytest.mark.parametrize("arguments", ["", "null", " null\n", "{}", "{ }"])
def test_call_without_arguments_has_an_empty_input(arguments: str) -> None:
    chunks = [delta(tool_calls=[call(0, "a", "f", arguments)]), delta(tool_calls=[call(1, "b", "g", "{}")])]
    assert [block["input"] for block in content(streamed(chunks))] == [{}, {}]


@pytest.mark.parametrize("arguments", ["[1]", "true", "nonsense", '"text"', '{"x": ', '{"x": NaN}', "nul"])
def test_arguments_that_are_no_object_are_carried_as_documented(arguments: str) -> None:
    message = streamed([delta(tool_calls=[call(0, "a", "f", arguments)])])
    shown = content(message)[0]["input"]
    assert shown == {"INVALID_JSON": arguments} or (arguments == '{"x": NaN}' and shown["x"] != shown["x"])


def test_what_follows_whole_arguments_is_not_written() -> None:
    chunks = [delta(tool_calls=[call(0, "a", "f", '{"x":1}}')]), delta(tool_calls=[call(0, arguments='\n{"x":1}')])]
    assert content(streamed(chunks)) == [A_CALL]
    assert content(whole({"tool_calls": [call(0, "a", "f", '{"x":1}}')]})) == [A_CALL]


def test_name_that_comes_late_is_waited_for() -> None:
    chunks = [
        delta(tool_calls=[call(0, "a")]),
        delta(tool_calls=[call(0, arguments='{"x"')]),
        delta(tool_calls=[call(0, name="f", arguments=":1}")]),
    ]
    assert content(streamed(chunks)) == [A_CALL]


def test_id_that_comes_after_the_name_is_waited_for() -> None:
    chunks = [delta(tool_calls=[call(0, name="f")]), delta(tool_calls=[call(0, "a", arguments='{"x":1}')])]
    assert content(streamed(chunks)) == [A_CALL]


def test_calls_that_share_an_index_and_have_no_ids_are_told_apart_by_their_ends() -> None:
    chunks = [delta(tool_calls=[call(0, name="f", arguments='{"x":1}')])] * 2
    assert [block["input"] for block in content(streamed(chunks))] == [{"x": 1}, {"x": 1}]


def test_piece_without_an_index_is_of_the_call_before_it() -> None:
    chunks = [
        delta(tool_calls=[call(0, "a", "f", '{"x":1}'), call(1, "b", "g", '{"y":')]),
        delta(tool_calls=[call(None, arguments="[2,{}]}")]),
    ]
    assert content(streamed(chunks)) == [A_CALL, B_CALL]
