"""A model's thoughts: read as providers write them in chat, and carried through a client that sends them back."""

import base64
import binascii
import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple

ThoughtKind = Literal["reasoning_text", "summary_text"]
Details = list[dict[str, Any]]

# What stands in front of encrypted_content that was made here; the number is its version.
_SEAL = "rd1."
_TEXT_FIELDS: Mapping[str, tuple[str, ThoughtKind]] = {
    "reasoning.text": ("text", "reasoning_text"),
    "reasoning.summary": ("summary", "summary_text"),
}


class Thought(NamedTuple):
    """A piece of reasoning; block tells where another text begins."""

    kind: ThoughtKind
    text: str
    block: object = None


def read_thoughts(said: Mapping[str, Any]) -> list[Thought]:
    """Return the reasoning of a delta or a message that can be read.

    policy  OpenRouter says it twice, in reasoning and in reasoning_details; vLLM in reasoning and reasoning_content;
            Mistral among the parts of the content
    source  https://openrouter.ai/docs/use-cases/reasoning-tokens, https://docs.mistral.ai/capabilities/reasoning
    """
    thoughts = []
    for detail in read_details(said):
        name, kind = _TEXT_FIELDS.get(detail["type"], ("", "reasoning_text"))
        text = detail.get(name)
        if isinstance(text, str) and text:
            thoughts.append(Thought(kind, text, (kind, detail.get("index"))))
    if thoughts:
        return thoughts
    for name in ("reasoning", "reasoning_content"):
        text = said.get(name)
        if isinstance(text, str) and text:
            return [Thought("reasoning_text", text)]
    return [Thought("reasoning_text", text) for text in _thoughts_in_parts(said.get("content"))]


def read_details(said: Mapping[str, Any]) -> Details:
    """Return the reasoning_details of a delta or a message; what is no object with a type is skipped."""
    details = said.get("reasoning_details")
    listed = details if isinstance(details, list) else []
    return [detail for detail in listed if isinstance(detail, dict) and isinstance(detail.get("type"), str)]


def merge_details(merged: Details, more: Iterable[Mapping[str, Any]]) -> None:
    """Add the details of one more chunk: texts of one block grow together, a signature comes with its last piece."""
    for detail in more:
        name = _TEXT_FIELDS.get(detail["type"], ("", ""))[0]
        block = _same_block(merged, detail) if name else None
        if block is None:
            merged.append(dict(detail))
            continue
        text, more_text = block.get(name), detail.get(name)
        if isinstance(more_text, str):
            block[name] = text + more_text if isinstance(text, str) else more_text
        block.update({key: value for key, value in detail.items() if key != name and value is not None})


def seal_details(details: Details) -> str | None:
    """Return the details as the `encrypted_content` of a reasoning item, None where its texts say all of it.

    A signature or encrypted thoughts are worth nothing to the provider unless they come back whole and in their order.
    """
    if not any(_is_more_than_text(detail) for detail in details):
        return None
    # Sorted, so that a streamed answer and a whole one are sealed alike.
    text = json.dumps(details, separators=(",", ":"), sort_keys=True)
    return _SEAL + base64.urlsafe_b64encode(text.encode()).decode()


def open_details(sealed: str) -> Details | None:
    """Return what seal_details closed; None for anything else, such as another gateway's."""
    if not sealed.startswith(_SEAL):
        return None
    try:
        details = json.loads(base64.b64decode(sealed.removeprefix(_SEAL), altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, RecursionError):
        return None
    if not isinstance(details, list) or not all(isinstance(detail, dict) for detail in details):
        return None
    return details


def _thoughts_in_parts(content: object) -> list[str]:
    parts = _objects(content)
    thoughts = [
        thought for part in parts if part.get("type") == "thinking" for thought in _objects(part.get("thinking"))
    ]
    texts = [thought.get("text") for thought in thoughts]
    return [text for text in texts if isinstance(text, str) and text]


def _objects(values: object) -> list[Mapping[str, Any]]:
    return [value for value in values if isinstance(value, Mapping)] if isinstance(values, list) else []


def _same_block(merged: Details, detail: Mapping[str, Any]) -> dict[str, Any] | None:
    candidates = merged[-1:] if detail.get("index") is None else merged
    for block in reversed(candidates):
        if block.get("type") == detail.get("type") and block.get("index") == detail.get("index"):
            # A signature closes its block: what follows is signed anew.
            return block if block.get("signature") is None else None
    return None


def _is_more_than_text(detail: Mapping[str, Any]) -> bool:
    return detail.get("type") not in _TEXT_FIELDS or detail.get("signature") is not None
