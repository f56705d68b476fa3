"""The order and the sums of a response's stream, as a machine of its own that no code under test shares.

source  https://www.openresponses.org/specification (Streaming, Items are streamable, Errors), schema/events.tsp of
        github.com/openresponses/openresponses, and the event classes of the openai package
"""

from collections.abc import Mapping
from typing import Any

Event = dict[str, Any]

_TERMINAL = {
    "response.completed": "completed",
    "response.incomplete": "incomplete",
    "response.failed": "failed",
}
# kind of part → (events of the part, events of its text, field of its index, field of its text)
_PARTS = {
    "output_text": ("response.content_part", "response.output_text", "content_index", "text"),
    "refusal": ("response.content_part", "response.refusal", "content_index", "refusal"),
    "reasoning_text": ("response.content_part", "response.reasoning_text", "content_index", "text"),
    "summary_text": ("response.reasoning_summary_part", "response.reasoning_summary_text", "summary_index", "text"),
}
_PARTS_OF = {"message": ("output_text", "refusal"), "reasoning": ("reasoning_text", "summary_text")}
_CALLS = {
    "function_call": ("response.function_call_arguments", "arguments"),
    "custom_tool_call": ("response.custom_tool_call_input", "input"),
}


class UngrammaticalStream(AssertionError):
    """The stream is not what the specification says."""


def require(is_so: bool, message: str) -> None:
    """Find a stream ungrammatical where a rule is not kept."""
    if not is_so:
        raise UngrammaticalStream(message)


class _OpenPart:
    def __init__(self, kind: str, index: int) -> None:
        self.kind = kind
        self.index = index
        self.text = ""
        self.logprobs: list[Any] = []
        self.annotations: list[Any] = []
        self.done_text: str | None = None

    def shown(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"type": self.kind, _PARTS[self.kind][3]: _whole_emoji(self.text)}
        if self.kind == "output_text":
            shown |= {"annotations": self.annotations, "logprobs": self.logprobs}
        return shown


class _OpenItem:
    def __init__(self, item: Mapping[str, Any]) -> None:
        self.added = dict(item)
        self.parts: list[dict[str, Any]] = []
        self.part: _OpenPart | None = None
        self.text = ""
        self.done_text: str | None = None

    def shown(self) -> dict[str, Any]:
        """Return the item as its events tell it; status and encrypted_content are told at its end only."""
        parts = self.parts + ([self.part.shown()] if self.part else [])
        shown = {name: value for name, value in self.added.items() if name not in ("status", "encrypted_content")}
        kind = shown["type"]
        if kind == "message":
            shown["content"] = parts
        elif kind == "reasoning":
            shown["content"] = [part for part in parts if part["type"] == "reasoning_text"]
            shown["summary"] = [part for part in parts if part["type"] == "summary_text"]
        else:
            shown[_CALLS[kind][1]] = self.text
        return shown


class StreamMachine:
    """Follows a stream event by event; raises UngrammaticalStream at the first that may not stand where it does."""

    def __init__(self) -> None:
        self.state = "new"
        self._next_number = 0
        self._added = 0
        self._open: dict[int, _OpenItem] = {}
        self._done: dict[int, Mapping[str, Any]] = {}
        self._ids: set[str] = set()
        self._response: dict[str, Any] = {}
        self._first: Mapping[str, Any] = {}
        self._has_error = False

    def take(self, event: Event) -> None:
        """Follow one event."""
        kind = event["type"]
        require(event["sequence_number"] == self._next_number, f"{kind} has a number out of order")
        self._next_number += 1
        if self.state in ("new", "created"):
            self._begin(event)
            return
        require(self.state == "in_progress", f"{kind} after the end")
        if kind in _TERMINAL:
            self._end(event)
            return
        require(not self._has_error, f"{kind} after an error")
        if kind == "error":
            self._has_error = True
            require(event["error"]["message"] == event["message"], "an error that says two things")
        elif kind == "response.output_item.added":
            self._add_item(event)
        elif kind == "response.output_item.done":
            self._end_item(event)
        else:
            self._within_item(event)

    def finish(self) -> dict[str, Any]:
        """Return the response that the stream ended with."""
        require(self.state == "ended", "the stream has no end")
        return self._response

    def _begin(self, event: Event) -> None:
        expected = {"new": "response.created", "created": "response.in_progress"}[self.state]
        require(event["type"] == expected, f"{event['type']} where {expected} belongs")
        response = event["response"]
        is_blank = response["output"] == [] and response["usage"] is None and response["error"] is None
        require(response["status"] == "in_progress" and is_blank, "a response that begins is not blank")
        require(self.state == "new" or response == self._first, "the response changed before anything happened")
        self._first = response
        self.state = "created" if self.state == "new" else "in_progress"

    def _end(self, event: Event) -> None:
        response = event["response"]
        status = _TERMINAL[event["type"]]
        require(response["status"] == status, "the response's status is not its event's")
        require(self._has_error == (status == "failed"), "failed without an error event, or an error without failing")
        for name in self._first.keys() - {"status", "output", "usage", "error", "incomplete_details", "completed_at"}:
            require(response[name] == self._first[name], f"{name} changed under way")
        require(status == "failed" or not self._open, "the response ends with open items")
        require(len(response["output"]) == self._added, "the response has not the items that were streamed")
        for index, item in enumerate(response["output"]):
            if index in self._done:
                require(item == self._done[index], f"item {index} is not what was streamed")
            else:
                told = {name: value for name, value in item.items() if name not in ("status", "encrypted_content")}
                require(told == self._open[index].shown(), f"open item {index} is not what was streamed")
                require(item["status"] == "incomplete", "an item that never ended is not incomplete")
        self._response = response
        self.state = "ended"

    def _add_item(self, event: Event) -> None:
        item, index = event["item"], event["output_index"]
        require(index == self._added, "an item is added out of order")
        require(item["id"] not in self._ids, "an item id is used twice")
        require(item["status"] == "in_progress", "an item is added that is not in progress")
        # Stricter than the specification, and as OpenAI streams: only calls are open side by side.
        are_calls = all(other.added["type"] in _CALLS for other in self._open.values())
        require(are_calls, "an item is added before the words in front of it ended")
        kind = item["type"]
        if kind in _PARTS_OF:
            require(not item.get("content") and not item.get("summary"), "an item is added with content")
        else:
            require(item[_CALLS[kind][1]] == "" and item["call_id"] and "name" in item, "a call is added half or whole")
        self._added += 1
        self._ids.add(item["id"])
        self._open[index] = _OpenItem(item)

    def _end_item(self, event: Event) -> None:
        index, item = event["output_index"], event["item"]
        require(index in self._open, "an item ends that is not open")
        streamed = self._open.pop(index)
        require(streamed.part is None, "an item ends with an open part")
        if item["type"] in _CALLS:
            require(streamed.done_text is not None, "a call ends without its text being done")
        told = {name: value for name, value in item.items() if name not in ("status", "encrypted_content")}
        require(told == streamed.shown(), "an item is not the sum of its events")
        require(item["status"] in ("completed", "incomplete"), "an item ends in progress")
        self._done[index] = item

    def _within_item(self, event: Event) -> None:
        index = event["output_index"]
        require(index in self._open, f"{event['type']} for an item that is not open")
        item = self._open[index]
        require(event["item_id"] == item.added["id"], f"{event['type']} names another item")
        name, _, step = event["type"].rpartition(".")
        kind = item.added["type"]
        if kind in _CALLS:
            self._within_call(item, event, name, step)
        elif step == "added" and name != "response.output_text.annotation":
            self._add_part(item, event, name)
        else:
            self._within_part(item, event, name, step)

    def _within_call(self, item: _OpenItem, event: Event, name: str, step: str) -> None:
        events, field = _CALLS[item.added["type"]]
        require(name == events and step in ("delta", "done"), f"{event['type']} within a call")
        require(item.done_text is None, f"{event['type']} after the call's text was done")
        if step == "delta":
            require(event["delta"] != "", "an empty delta")
            item.text += event["delta"]
        else:
            item.done_text = event[field]
            require(item.done_text == item.text, "a call's text is not the sum of its deltas")

    def _add_part(self, item: _OpenItem, event: Event, name: str) -> None:
        part = event["part"]
        require(item.part is None, "a part is added while another is open")
        kind = part["type"]
        require(kind in _PARTS_OF[item.added["type"]], f"a {kind} within a {item.added['type']}")
        events, _, index_field, text_field = _PARTS[kind]
        before = [other for other in item.parts if _PARTS[other["type"]][2] == index_field]
        require(name == events and event[index_field] == len(before), "a part has another index than its place")
        require(part[text_field] == "", "a part is added with text")
        item.part = _OpenPart(kind, event[index_field])

    def _within_part(self, item: _OpenItem, event: Event, name: str, step: str) -> None:
        part = item.part
        if part is None:
            raise UngrammaticalStream(f"{event['type']} without an open part")
        part_events, text_events, index_field, text_field = _PARTS[part.kind]
        require(event[index_field] == part.index, f"{event['type']} names another part")
        if (name, step) == (part_events, "done"):
            require(part.done_text is not None, "a part ends without its text being done")
            require(event["part"] == part.shown(), "a part is not the sum of its events")
            item.parts.append(event["part"])
            item.part = None
            return
        require(part.done_text is None, f"{event['type']} after the part's text was done")
        if name == "response.output_text.annotation":
            require(event["annotation_index"] == len(part.annotations), "an annotation out of order")
            part.annotations.append(event["annotation"])
            return
        require(name == text_events and step in ("delta", "done"), f"{event['type']} within a {part.kind}")
        if step == "delta":
            require(event["delta"] != "", "an empty delta")
            part.text += event["delta"]
            part.logprobs += event.get("logprobs", [])
        else:
            part.done_text = event[text_field]
            require(part.done_text == _whole_emoji(part.text), "a text is not the sum of its deltas")
            require(event.get("logprobs", []) == part.logprobs, "the log probabilities are not those of the deltas")


def _whole_emoji(text: str) -> str:
    """Join the halves of emoji that deltas carried apart, as a JavaScript client's strings do by themselves."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
