"""Why an answer ended, in a stream and whole."""

from typing import Any

import pytest

from shared.providers.messages.request import Echo
from tests.shared.providers.messages.asking import (
    call,
    delta,
    streamed,
    texts,
    whole,
)


@pytest.mark.parametrize(
    ("choice", "calls", "reason"),
    [
        ({"finish_reason": "stop"}, 0, "end_turn"),
        ({"finish_reason": "stop"}, 1, "tool_use"),
        ({"finish_reason": "tool_calls"}, 1, "tool_use"),
        ({"finish_reason": "tool_calls"}, 0, "end_turn"),
        ({"finish_reason": "function_call"}, 1, "tool_use"),
        ({"finish_reason": "length"}, 0, "max_tokens"),
        ({"finish_reason": "length"}, 1, "max_tokens"),
        ({"finish_reason": "content_filter"}, 0, "refusal"),
        ({"finish_reason": "never heard of"}, 0, "end_turn"),
        ({"finish_reason": None}, 0, "end_turn"),
        ({"finish_reason": None}, 1, "tool_use"),
        ({"finish_reason": "end_turn"}, 0, "end_turn"),
        ({"finish_reason": "max_tokens"}, 0, "max_tokens"),
        ({"finish_reason": "pause_turn"}, 0, "pause_turn"),
        ({"finish_reason": "stop", "native_finish_reason": "pause_turn"}, 0, "pause_turn"),
        ({"finish_reason": "stop", "native_finish_reason": "refusal"}, 0, "refusal"),
        ({"finish_reason": "length", "native_finish_reason": "MAX_TOKENS"}, 0, "max_tokens"),
        (
            {"finish_reason": "length", "native_finish_reason": "model_context_window_exceeded"},
            0,
            "model_context_window_exceeded",
        ),
    ],
)
def test_reason_of_the_end_is_said_in_anthropics_words(choice: dict[str, Any], calls: int, reason: str) -> None:
    tool_calls = [call(0, "a", "f", "{}")] * calls
    chunks = [delta(content="x", tool_calls=tool_calls), {"choices": [{"index": 0, "delta": {}, **choice}]}]
    assert streamed(chunks)["stop_reason"] == reason
    message = whole({"content": "x", "tool_calls": tool_calls}, **choice)
    assert message["stop_reason"] == reason
    assert (message["stop_details"] is not None) == (reason == "refusal")


@pytest.mark.parametrize(
    ("choice", "sequences", "told"),
    [
        ({"finish_reason": "stop", "stop_reason": "END"}, ("END", "x"), "END"),
        ({"finish_reason": "stop", "matched_stop": "x"}, ("END", "x"), "x"),
        ({"finish_reason": "stop", "native_finish_reason": "stop_sequence"}, ("END",), "END"),
        ({"finish_reason": "stop_sequence"}, ("END", "x"), None),
    ],
)
def test_stop_sequence_that_matched_is_named(choice: dict[str, Any], sequences: tuple[str, ...], told: object) -> None:
    message = whole({"content": "x"}, Echo(stop_sequences=sequences), **choice)
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", told)


@pytest.mark.parametrize("matched", [151645, None, "<|im_end|>"])
def test_token_that_ends_every_answer_is_no_stop_sequence(matched: object) -> None:
    message = whole({"content": "x"}, Echo(stop_sequences=("END",)), finish_reason="stop", stop_reason=matched)
    assert (message["stop_reason"], message["stop_sequence"]) == ("end_turn", None)


def test_refusal_is_told_as_text_and_as_reason() -> None:
    message = streamed([delta(refusal="I can"), delta(refusal="not."), delta("stop")])
    assert texts(message) == ["I cannot."]
    assert message["stop_reason"] == "refusal" and message["stop_details"]["type"] == "refusal"
