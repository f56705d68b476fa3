"""What a chat delta or message says, piece by piece, however its provider writes it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from shared.providers.messages.thinking import ENCRYPTED, SUMMARY, TEXT


class ThinkingPiece(NamedTuple):
    """Of a thought: more of its text, or the signature that ends it. The rest is as reasoning_details has it."""

    text: str
    signature: str = ""
    kind: str = TEXT
    format: str = ""
    id: str = ""
    number: int | None = None


class RedactedPiece(NamedTuple):
    """A thought that only its model can read."""

    data: str
    format: str = ""
    id: str = ""
    number: int | None = None


class TextPiece(NamedTuple):
    """More of the answer's text."""

    text: str
    is_refusal: bool = False


class ToolPiece(NamedTuple):
    """Of a call: its id and name, mostly once, and more of its arguments. number: which call, where it is said."""

    number: int | None
    id: str
    name: str
    arguments: str


Piece = ThinkingPiece | RedactedPiece | TextPiece | ToolPiece


def read_pieces(delta: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield what a delta, or a whole message, says: thoughts, text, calls.

    policy  what is not of its type is read over, as the engine has read the chunk before
    """
    yield from _thoughts(delta)
    yield from _texts(delta.get("content"))
    refusal = _text(delta, "refusal")
    if refusal:
        yield TextPiece(refusal, is_refusal=True)
    for call in _objects(delta.get("tool_calls")):
        index = call.get("index")
        yield _call(call, index if type(index) is int else None)
    if isinstance(delta.get("function_call"), dict):
        yield _call({"function": delta["function_call"]}, 0)


def _thoughts(delta: Mapping[str, Any]) -> Iterator[Piece]:
    """Yield thoughts once: OpenRouter writes their text into two fields, vLLM into two others."""
    details = list(_objects(delta.get("reasoning_details")))
    if not any(_text(detail, "text") or _text(detail, "summary") for detail in details):
        text = _text(delta, "reasoning") or _text(delta, "reasoning_content")
        if text:
            yield ThinkingPiece(text)
    for detail in details:
        kind, format_name, detail_id = detail.get("type"), _text(detail, "format"), _text(detail, "id")
        index = detail.get("index")
        shown_index = index if type(index) is int else None
        if kind == ENCRYPTED:
            if _text(detail, "data"):
                yield RedactedPiece(detail["data"], format_name, detail_id, shown_index)
            continue
        text = _text(detail, "summary" if kind == SUMMARY else "text")
        signature = _text(detail, "signature")
        if text or signature:
            shown_kind = SUMMARY if kind == SUMMARY else TEXT
            yield ThinkingPiece(text, signature, shown_kind, format_name, detail_id, shown_index)


def _texts(content: object) -> Iterator[Piece]:
    """Yield the texts of a content, which Mistral's models write as parts, their thoughts among them."""
    if isinstance(content, str):
        if content:
            yield TextPiece(content)
        return
    for part in _objects(content):
        if part.get("type") == "thinking":
            for thought in _objects(part.get("thinking")):
                if _text(thought, "text"):
                    yield ThinkingPiece(thought["text"])
        elif _text(part, "text"):
            yield TextPiece(part["text"])


def _call(call: Mapping[str, Any], index: int | None) -> ToolPiece:
    function = call.get("function")
    function = function if isinstance(function, dict) else {}
    arguments = function.get("arguments")
    if isinstance(arguments, dict):
        # Ollama's way.
        arguments = json.dumps(arguments, separators=(",", ":"))
    return ToolPiece(index, _text(call, "id"), _text(function, "name"), arguments if isinstance(arguments, str) else "")


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    return value if isinstance(value, str) else ""


def _objects(values: object) -> Iterator[dict[str, Any]]:
    for value in values if isinstance(values, list) else ():
        if isinstance(value, dict):
            yield value
