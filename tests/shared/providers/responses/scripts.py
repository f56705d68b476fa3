"""Answers made up by hypothesis: what a model says, the whole completion of it, and chunks of it cut anywhere."""

from itertools import pairwise
from typing import Any

from hypothesis import strategies as st

from tests.shared.providers.responses.support import chunk

Delta = dict[str, Any]
Message = dict[str, Any]

FINISH_REASONS = ("stop", "length", "content_filter", "tool_calls", "made_up", None)
NOISE: tuple[Delta, ...] = ({}, {"role": "assistant"}, {"content": ""}, {"content": None, "tool_calls": []})

_words = st.text(min_size=1, max_size=12)


@st.composite
def details(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Draw reasoning_details as a whole completion has them."""
    drawn = []
    for index in range(draw(st.integers(1, 3))):
        kind = draw(st.sampled_from(["text", "signed", "summary", "encrypted"]))
        if kind == "summary":
            drawn.append({"type": "reasoning.summary", "summary": draw(_words), "index": index})
        elif kind == "encrypted":
            drawn.append({"type": "reasoning.encrypted", "data": draw(_words), "index": index, "id": f"rs_{index}"})
        else:
            signature = {"signature": draw(_words)} if kind == "signed" else {}
            drawn.append({"type": "reasoning.text", "text": draw(_words), "index": index, **signature})
    return drawn


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Draw a message as a whole completion has it."""
    message: Message = {"role": "assistant", "content": draw(st.none() | _words)}
    thoughts = draw(st.sampled_from(["none", "reasoning", "reasoning_content", "both", "details"]))
    if thoughts == "details":
        message["reasoning_details"] = draw(details())
        message["reasoning"] = "".join(
            detail.get("text", detail.get("summary", "")) for detail in message["reasoning_details"]
        )
    elif thoughts != "none":
        text = draw(_words)
        names = ("reasoning", "reasoning_content") if thoughts == "both" else (thoughts,)
        message |= dict.fromkeys(names, text)
    if draw(st.booleans()):
        message["refusal"] = draw(_words)
    message["tool_calls"] = [
        {
            "id": f"call_{index}",
            "type": "function",
            "function": {"name": draw(st.sampled_from(["f", "g"])), "arguments": draw(st.just("") | _words)},
        }
        for index in range(draw(st.integers(0, 3)))
    ]
    return message


def completion(message: Message, finish_reason: str | None) -> dict[str, Any]:
    """Return the whole completion of a message."""
    return {"id": "gen-1", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish_reason}]}


@st.composite
def chunks(draw: st.DrawFn, message: Message, finish_reason: str | None) -> list[dict[str, Any]]:
    """Draw a stream of a message: cut anywhere, pieces of calls alternating, noise between, the end said twice."""
    deltas = [*_thought_deltas(draw, message)]
    for name in ("content", "refusal"):
        deltas += [{name: part} for part in _cut(draw, message.get(name) or "")]
    deltas = [*deltas, *_call_deltas(draw, message["tool_calls"])]
    stream = []
    for delta in deltas:
        for noise in draw(st.lists(st.sampled_from(NOISE), max_size=1)):
            stream.append(chunk(**noise))
        stream.append(chunk(**delta))
    if finish_reason is not None:
        stream += [chunk(finish_reason, content="")] * draw(st.integers(1, 2))
    return [*stream, {"id": "gen-1", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}]


def _cut(draw: st.DrawFn, text: str) -> list[str]:
    if not text:
        return []
    places = sorted(draw(st.sets(st.integers(1, len(text)), max_size=3)))
    bounds = [0, *places, len(text)]
    return [text[start:end] for start, end in pairwise(bounds) if start < end]


def _thought_deltas(draw: st.DrawFn, message: Message) -> list[Delta]:
    if "reasoning_details" not in message:
        names = [name for name in ("reasoning", "reasoning_content") if name in message]
        parts = _cut(draw, message[names[0]]) if names else []
        return [dict.fromkeys(names, part) for part in parts]
    deltas: list[Delta] = []
    for detail in message["reasoning_details"]:
        name = {"reasoning.text": "text", "reasoning.summary": "summary"}.get(detail["type"])
        if name is None:
            deltas.append({"reasoning_details": [detail]})
            continue
        kept = {"type": detail["type"], "index": detail["index"]}
        for part in _cut(draw, detail[name]):
            deltas.append({"reasoning": part, "reasoning_details": [{**kept, name: part}]})
        if "signature" in detail:
            deltas.append({"reasoning_details": [{**kept, "signature": detail["signature"]}]})
    return deltas


def _call_deltas(draw: st.DrawFn, calls: list[dict[str, Any]]) -> list[Delta]:
    """Cut the calls and let their pieces alternate; the first piece of each has its id and name, in their order."""
    waiting = [(index, call, _cut(draw, call["function"]["arguments"])) for index, call in enumerate(calls)]
    begun: list[tuple[int, dict[str, Any], list[str]]] = []
    deltas: list[Delta] = []
    while waiting or any(parts for _, _, parts in begun):
        ready = [entry for entry in begun if entry[2]]
        if waiting and (not ready or draw(st.booleans())):
            index, call, parts = waiting.pop(0)
            begun.append((index, call, parts))
            first = {**call["function"], "arguments": ""}
            deltas.append({"tool_calls": [{"index": index, **call, "function": first}]})
            continue
        index, call, parts = draw(st.sampled_from(ready))
        named = {"id": call["id"]} if draw(st.booleans()) else {}
        name = {"name": call["function"]["name"]} if draw(st.booleans()) else {}
        function = {**name, "arguments": parts.pop(0)}
        deltas.append({"tool_calls": [{"index": index, **named, "function": function}]})
    return deltas
