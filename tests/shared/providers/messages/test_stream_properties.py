"""However an answer is cut into chunks, its stream is as documented and says what the whole answer says."""

import json
from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.providers.messages.request import Echo
from tests.shared.providers.messages.asking import call, content, delta, streamed, whole

TEXTS = st.text(st.sampled_from('ab \n"\\{}[]é€😀'), max_size=12)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=6,
)
INPUTS = st.dictionaries(TEXTS, VALUES, max_size=3)
Delta = dict[str, Any]


def units(text: str) -> list[str]:
    """Return UTF-16 units, between which JavaScript upstreams cut."""
    encoded = text.encode("utf-16-be")
    return [chr(int.from_bytes(encoded[at : at + 2])) for at in range(0, len(encoded), 2)]


@st.composite
def cuts(draw: st.DrawFn, text: str) -> list[str]:
    parts = units(text)
    places = sorted(draw(st.lists(st.integers(0, len(parts)), max_size=4)))
    edges = [0, *places, len(parts)]
    return ["".join(parts[start:end]) for start, end in pairwise(edges)]


@st.composite
def call_deltas(draw: st.DrawFn, index: int, whole_call: Delta) -> list[Delta]:
    """Return the pieces of one call: id and name first, the name perhaps again, the arguments in pieces."""
    function = whole_call["function"]
    pieces = draw(cuts(function["arguments"]))
    is_name_repeated = draw(st.booleans())
    first = pieces.pop(0) if draw(st.booleans()) else ""
    deltas = [call(index, whole_call["id"], function["name"], first)]
    deltas += [call(index, "", function["name"] if is_name_repeated else "", piece) for piece in pieces]
    return [{"tool_calls": [one]} for one in deltas]


@st.composite
def merged(draw: st.DrawFn, sequences: list[list[Delta]]) -> list[Delta]:
    """Return all deltas mixed at random; those of one sequence stay in order, and sequences begin in order."""
    left = [list(sequence) for sequence in sequences if sequence]
    mixed: list[Delta] = []
    begun = 1
    while left:
        at = draw(st.integers(0, min(begun, len(left)) - 1))
        mixed.append(left[at].pop(0))
        begun = max(begun, at + 2)
        if not left[at]:
            del left[at]
            begun -= 1
        begun = max(begun, 1)
    return mixed


@st.composite
def chunked(draw: st.DrawFn, deltas: list[Delta], finish_reason: str) -> list[dict[str, Any]]:
    """Return chunks: neighbouring calls in one delta or not, and chunks between that say nothing."""
    chunks: list[dict[str, Any]] = [delta(role="assistant", content="")]
    for fields in deltas:
        last = chunks[-1]["choices"][0]["delta"] if chunks[-1]["choices"] else {}
        if "tool_calls" in fields and "tool_calls" in last and draw(st.booleans()):
            last["tool_calls"].extend(fields["tool_calls"])
        else:
            chunks.append(delta(**json.loads(json.dumps(fields))))
        if draw(st.integers(0, 5)) == 0:
            chunks.append(draw(st.sampled_from([delta(), {"choices": []}, delta(content=None, tool_calls=[])])))
    chunks.append(delta(finish_reason, content=""))
    chunks += [delta(finish_reason)] * draw(st.integers(0, 1))
    return [*chunks, {"choices": [], "usage": {"prompt_tokens": 1}}]


@st.composite
def answers(draw: st.DrawFn, *, is_mixed: bool) -> tuple[dict[str, Any], str, list[dict[str, Any]]]:
    """Return a whole message, how it ends, and its chunks; is_mixed: text comes among and after the calls."""
    inputs = draw(st.lists(INPUTS, max_size=3))
    calls = [
        {
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": "fg"[index % 2], "arguments": json.dumps(value, ensure_ascii=draw(st.booleans()))},
        }
        for index, value in enumerate(inputs)
    ]
    reasoning, text = draw(TEXTS), draw(TEXTS)
    finish_reason = draw(st.sampled_from(["stop", "length", "tool_calls", "content_filter"]))
    message = {"role": "assistant", "content": text, "reasoning": reasoning, "tool_calls": calls}
    thoughts: list[Delta] = [{"reasoning": piece} for piece in draw(cuts(reasoning))]
    texts: list[Delta] = [{"content": piece} for piece in draw(cuts(text))]
    of_calls = [draw(call_deltas(index, one)) for index, one in enumerate(calls)]
    rest = merged([texts, *of_calls]) if is_mixed else merged(of_calls).map(lambda mixed: texts + mixed)
    deltas = thoughts + draw(rest)
    return message, finish_reason, draw(chunked(deltas, finish_reason))


def sorted_out(message: dict[str, Any]) -> tuple[Any, ...]:
    """Return what a message says, without the order among its kinds of blocks."""
    blocks = content(message)
    thoughts = "".join(block["thinking"] for block in blocks if block["type"] == "thinking")
    texts = "".join(block["text"] for block in blocks if block["type"] == "text")
    calls = [block for block in blocks if block["type"] == "tool_use"]
    # An emoji with a call between its halves is put together by its reader.
    texts = json.loads(json.dumps(texts))
    return thoughts, texts, calls, {name: value for name, value in message.items() if name != "content"}


@given(answers(is_mixed=False), st.booleans())
@settings(deadline=None, max_examples=200)
def test_stream_of_an_answer_is_the_whole_answer(
    answer: tuple[dict[str, Any], str, list[dict[str, Any]]], is_omitted: bool
) -> None:
    message, finish_reason, chunks = answer
    echo = Echo(is_thinking_omitted=is_omitted)
    assert streamed(chunks, echo) == whole(message, echo, finish_reason=finish_reason)


@given(answers(is_mixed=True))
@settings(deadline=None, max_examples=200)
def test_stream_says_all_of_an_answer_whose_text_and_calls_come_mixed(
    answer: tuple[dict[str, Any], str, list[dict[str, Any]]],
) -> None:
    message, finish_reason, chunks = answer
    assert sorted_out(streamed(chunks)) == sorted_out(whole(message, finish_reason=finish_reason))


JUNK = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from(["", "x", "{", "stop", "reasoning.text"]),
    lambda inner: st.lists(inner, max_size=2)
    | st.dictionaries(
        st.sampled_from(
            [
                "choices", "delta", "index", "content", "tool_calls", "function", "name", "arguments", "id", "type",
                "reasoning", "reasoning_details", "text", "signature", "data", "finish_reason", "refusal",
            ]
        ),
        inner,
        max_size=3,
    ),
    max_leaves=12,
)  # fmt: skip


@given(
    st.lists(
        st.dictionaries(st.sampled_from(["choices", "id", "usage"]), JUNK)
        | JUNK.map(lambda part: {"choices": [{"index": 0, "delta": part}]}),
        max_size=4,
    )
)
@settings(deadline=None, max_examples=300)
def test_stream_of_whatever_a_provider_sends_is_as_documented(chunks: list[dict[str, Any]]) -> None:
    streamed(chunks)
