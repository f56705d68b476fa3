"""The provider that answers inside the function."""

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.providers.openai_chat import DONE, read_chunk, read_completion
from shared.providers.simulated import answer, answer_events
from shared.providers.sse import EventParser
from shared.providers.usage import UsageBounds, read_usage

BOUNDS = UsageBounds(max_input_tokens=10_000, max_output_tokens_total=10_000)
WEATHER = {
    "type": "function",
    "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer"}, "unit": {"enum": ["c", "f"]}},
            "required": ["city", "days", "unit"],
        },
    },
}


def ask(**extra: Any) -> dict[str, Any]:
    return {"model": "simulated/echo", "messages": [{"role": "user", "content": "one two three"}], **extra}


def completed(body: dict[str, Any]) -> dict[str, Any]:
    completion: dict[str, Any] = json.loads(answer(body))
    return completion


def streamed(body: dict[str, Any]) -> list[dict[str, Any]]:
    events = EventParser().feed(b"".join(answer_events(body)))
    assert events[-1].raw == DONE
    return [json.loads(event.data) for event in events[:-1]]


def test_same_question_has_the_same_answer() -> None:
    assert answer(ask()) == answer(ask())
    assert answer(ask()) != answer(ask(seed=1))


def test_last_user_message_comes_back() -> None:
    choice = completed(ask())["choices"][0]
    assert choice["message"]["content"] == "You said: one two three"
    assert choice["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_bound_on_output_cuts(name: str) -> None:
    completion = completed(ask(**{name: 3}))
    assert completion["choices"][0]["message"]["content"] == "You said: one"
    assert completion["choices"][0]["finish_reason"] == "length"
    assert completion["usage"]["completion_tokens"] == 3


def test_n_choices_are_answered_and_counted() -> None:
    completion = completed(ask(n=3))
    assert [choice["index"] for choice in completion["choices"]] == [0, 1, 2]
    assert completion["usage"]["completion_tokens"] == 15


@pytest.mark.parametrize("tool_choice", ["required", {"type": "function", "function": {"name": "weather"}}])
def test_required_tool_is_called_with_what_it_requires(tool_choice: object) -> None:
    choice = completed(ask(tools=[WEATHER], tool_choice=tool_choice))["choices"][0]
    call = choice["message"]["tool_calls"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "text", "days": 0, "unit": "c"}


@pytest.mark.parametrize("tool_choice", ["auto", "none", None, {"type": "function", "function": {"name": "other"}}, 7])
def test_tool_that_is_not_required_is_not_called(tool_choice: object) -> None:
    message = completed(ask(tools=[WEATHER], tool_choice=tool_choice))["choices"][0]["message"]
    assert "tool_calls" not in message


def test_structured_output_follows_its_schema() -> None:
    schema = {"type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"]}
    body = ask(response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}})
    assert json.loads(completed(body)["choices"][0]["message"]["content"]) == {"ok": False}


def test_json_object_is_json() -> None:
    content = completed(ask(response_format={"type": "json_object"}))["choices"][0]["message"]["content"]
    assert json.loads(content) == {"said": "one two three"}


@pytest.mark.parametrize("extra", [{}, {"n": 2}, {"max_tokens": 2}, {"tools": [WEATHER], "tool_choice": "required"}])
def test_stream_says_what_the_whole_answer_says(extra: dict[str, Any]) -> None:
    whole, chunks = completed(ask(**extra)), streamed(ask(**extra))
    for choice in whole["choices"]:
        deltas = [part["delta"] for chunk in chunks for part in chunk["choices"] if part["index"] == choice["index"]]
        assert "".join(delta.get("content", "") for delta in deltas) == (choice["message"]["content"] or "")
        assert sum("tool_calls" in delta for delta in deltas) == len(choice["message"].get("tool_calls", []))
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]


def test_our_own_dialect_reads_it() -> None:
    assert read_usage(read_completion(answer(ask())).usage, bounds=BOUNDS) is not None
    events = EventParser().feed(b"".join(answer_events(ask(n=2))))
    chunks = [read_chunk(event.data) for event in events[:-1]]
    assert sorted(index for chunk in chunks for index in chunk.finished) == [0, 1]


OBJECTS = st.dictionaries(
    st.sampled_from(["type", "function", "role", "content", "text"]), st.text(max_size=5) | st.none()
)
ANYTHING = st.none() | st.booleans() | st.integers(-5, 200) | st.text(max_size=5) | st.lists(OBJECTS, max_size=3)
FIELDS = ["messages", "n", "max_tokens", "tools", "tool_choice", "response_format", "model"]


@given(st.dictionaries(st.sampled_from(FIELDS), ANYTHING))
def test_it_never_fails(body: dict[str, Any]) -> None:
    assert read_completion(answer(body)).error is None
    assert answer_events(body)[-1] == DONE


def test_a_schema_that_would_grow_without_end_is_answered_small_and_at_once() -> None:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(9):
        schema = {"type": "object", "required": ["x"] * 20 + ["y", "z"], "properties": dict.fromkeys("xyz", schema)}
    body = ask(response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    started_s = time.process_time()
    assert len(answer(body)) < 20_000
    assert time.process_time() - started_s < 0.5


def test_a_long_constant_is_not_multiplied_by_every_choice() -> None:
    schema = {"const": "x" * 1_000_000}
    body = ask(n=128, response_format={"type": "json_schema", "json_schema": {"schema": schema}})
    assert len(answer(body)) < 128 * 3_000


def test_many_choices_come_in_few_pieces() -> None:
    body = {"messages": [{"role": "user", "content": "word " * 400}], "n": 128}
    assert len(answer_events(body)) < 4_000
