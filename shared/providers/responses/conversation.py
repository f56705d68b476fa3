"""The items of a Responses request put together as the messages of a chat request."""

from collections.abc import Mapping
from typing import Any

from shared.providers.responses.checks import (
    read_choice,
    read_name,
    read_objects,
    read_text,
    refuse_malformed,
    refuse_others,
    refuse_unsupported,
)
from shared.providers.responses.parts import Parts, read_parts
from shared.providers.responses.reasoning import Details, open_details

_ROLES = ("user", "assistant", "system", "developer")
# Where an item comes from and how far it was: chat has no word for it, and the model does not read it.
_NOTES = ("id", "status", "phase", "created_by")
_CALLS = {"function_call": ("function", "arguments"), "custom_tool_call": ("custom", "input")}
_OUTPUTS = ("function_call_output", "custom_tool_call_output")


def item_type(item: Mapping[str, Any]) -> object:
    """Return an item's type: a message may leave it out, and a reference."""
    if item.get("type") is not None:
        return item["type"]
    if "role" in item:
        return "message"
    return "item_reference" if "id" in item else None


class _Turn:
    """What the model said in one turn: many items, one chat message."""

    def __init__(self) -> None:
        self.content: Parts = []
        self.calls: list[dict[str, Any]] = []
        self.thoughts: list[tuple[str, Details]] = []
        self.ends_in_words = False

    def message(self) -> dict[str, Any]:
        is_plain = len(self.content) == 1 and self.content[0].keys() == {"type", "text"}
        content = self.content[0]["text"] if is_plain else self.content or None
        message: dict[str, Any] = {"role": "assistant", "content": content}
        if any(details for _, details in self.thoughts):
            message["reasoning_details"] = [
                detail
                for text, details in self.thoughts
                for detail in details or [{"type": "reasoning.text", "text": text}]
            ]
        elif self.thoughts:
            message["reasoning"] = "".join(text for text, _ in self.thoughts)
        if self.calls:
            message["tool_calls"] = self.calls
        return message


class Conversation:
    """Chat messages under way; `path` is how an error names the item.

    is_continued: other messages come before these, and an output may be of a call in them
    """

    def __init__(self, instructions: str | None, *, is_continued: bool = False) -> None:
        self._is_continued = is_continued
        self._messages: list[dict[str, Any]] = []
        self._turn: _Turn | None = None
        self._call_ids: set[str] = set()
        if instructions is not None:
            self._messages.append({"role": "system", "content": instructions})

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of all items added so far."""
        return [*self._messages, self._turn.message()] if self._turn else list(self._messages)

    def add(self, item: Mapping[str, Any], path: str) -> None:
        """Add one item.

        raises  InvalidRequest, UnpricedField
        """
        kind = item_type(item)
        if kind == "message":
            self._add_message(item, path)
        elif kind == "reasoning":
            self._add_reasoning(item, path)
        elif isinstance(kind, str) and kind in _CALLS:
            self._add_call(item, path, *_CALLS[kind])
        elif kind in _OUTPUTS:
            self._add_output(item, path)
        else:
            refuse_unsupported(f"{path}.type", "only messages, calls, their outputs and reasoning can be said in chat")

    def _add_message(self, item: Mapping[str, Any], path: str) -> None:
        refuse_others(item, path, (*_NOTES, "type", "role", "content"))
        role = read_choice(item.get("role"), f"{path}.role", _ROLES)
        content = read_parts(item.get("content"), f"{path}.content", role=role)
        if role != "assistant":
            self._end_turn()
            self._messages.append({"role": role, "content": content})
            return
        # Two messages in a row are two; what stands between them in one answer, thoughts or calls, makes them one.
        if self._turn is not None and self._turn.ends_in_words:
            self._end_turn()
        turn = self._open_turn()
        turn.ends_in_words = True
        turn.content += [{"type": "text", "text": content}] if isinstance(content, str) else content

    def _add_call(self, item: Mapping[str, Any], path: str, kind: str, text_field: str) -> None:
        refuse_others(item, path, (*_NOTES, "type", "call_id", "name", text_field))
        call_id = read_name(item.get("call_id"), f"{path}.call_id")
        called = {
            "name": read_name(item.get("name"), f"{path}.name"),
            text_field: read_text(item.get(text_field), f"{path}.{text_field}"),
        }
        turn = self._open_turn()
        turn.ends_in_words = False
        turn.calls.append({"id": call_id, "type": kind, kind: called})
        self._call_ids.add(call_id)

    def _add_output(self, item: Mapping[str, Any], path: str) -> None:
        refuse_others(item, path, (*_NOTES, "type", "call_id", "name", "output"))
        call_id = read_name(item.get("call_id"), f"{path}.call_id")
        if call_id not in self._call_ids and not self._is_continued:
            refuse_malformed(f"{path}.call_id", "names no call that comes before it")
        content = read_parts(item.get("output"), f"{path}.output", role="tool")
        self._end_turn()
        self._messages.append({"role": "tool", "tool_call_id": call_id, "content": content})

    def _add_reasoning(self, item: Mapping[str, Any], path: str) -> None:
        refuse_others(item, path, (*_NOTES, "type", "summary", "content", "encrypted_content"))
        texts = [
            read_text(part.get("text"), f"{part_path}.text")
            for name in ("content", "summary")
            for part_path, part in read_objects(item.get(name) or [], f"{path}.{name}")
        ]
        sealed = item.get("encrypted_content")
        details: Details = []
        if sealed is not None:
            opened = open_details(read_text(sealed, f"{path}.encrypted_content"))
            if opened is None:
                refuse_malformed(f"{path}.encrypted_content", "was not made by this gateway; leave the item out")
            details = opened
        if texts or details:
            turn = self._open_turn()
            turn.ends_in_words = False
            turn.thoughts.append(("".join(texts), details))

    def _open_turn(self) -> _Turn:
        self._turn = self._turn or _Turn()
        return self._turn

    def _end_turn(self) -> None:
        if self._turn is not None:
            self._messages.append(self._turn.message())
            self._turn = None
