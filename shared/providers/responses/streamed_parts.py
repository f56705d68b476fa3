"""Messages and reasoning under way in a stream: items made of parts, one of which is open at a time."""

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from shared.providers.responses.events import EventWriter
from shared.providers.responses.output import Item, ItemStatus, message_item, reasoning_item, text_part
from shared.providers.responses.reasoning import Details, merge_details, seal_details

PartKind = Literal["output_text", "refusal", "reasoning_text", "summary_text"]


class _Grammar(NamedTuple):
    """How the events of one kind of part are named."""

    part: str
    text: str
    index_field: str = "content_index"
    text_field: str = "text"


_GRAMMARS: Mapping[PartKind, _Grammar] = {
    "output_text": _Grammar("response.content_part", "response.output_text"),
    "refusal": _Grammar("response.content_part", "response.refusal", text_field="refusal"),
    "reasoning_text": _Grammar("response.content_part", "response.reasoning_text"),
    "summary_text": _Grammar("response.reasoning_summary_part", "response.reasoning_summary_text", "summary_index"),
}


class _Part:
    """One part from its first word to its last."""

    def __init__(self, writer: EventWriter, kind: PartKind, place: dict[str, Any], block: object) -> None:
        self.kind: PartKind = kind
        self.block = block
        self._writer = writer
        self._place = place
        self._pieces: list[str] = []
        self._annotations: list[Item] = []
        self._logprobs: list[Item] = []
        self._grammar = _GRAMMARS[kind]
        writer.write(f"{self._grammar.part}.added", **place, part=self.shown())

    def add(self, text: str, logprobs: list[Item]) -> None:
        self._pieces.append(text)
        self._logprobs += logprobs
        self._writer.write(f"{self._grammar.text}.delta", **self._place, delta=text, **self._probable(logprobs))

    def annotate(self, annotation: Item) -> None:
        self._writer.write(
            "response.output_text.annotation.added",
            **self._place,
            annotation_index=len(self._annotations),
            annotation=annotation,
        )
        self._annotations.append(annotation)

    def close(self) -> Item:
        shown = self.shown()
        said = {self._grammar.text_field: shown[self._grammar.text_field]}
        self._writer.write(f"{self._grammar.text}.done", **self._place, **said, **self._probable(self._logprobs))
        self._writer.write(f"{self._grammar.part}.done", **self._place, part=shown)
        return shown

    def shown(self) -> Item:
        text = "".join(self._pieces)
        if self.kind == "output_text":
            return text_part(text, list(self._annotations), list(self._logprobs))
        return {"type": self.kind, self._grammar.text_field: text}

    def _probable(self, logprobs: list[Item]) -> dict[str, list[Item]]:
        return {"logprobs": logprobs} if self.kind == "output_text" else {}


class StreamedParts:
    """A message or reasoning under way."""

    def __init__(self, writer: EventWriter, kind: Literal["message", "reasoning"], item_id: str, place: int) -> None:
        self.kind = kind
        self._writer = writer
        self._item_id = item_id
        self._place = place
        self._closed: list[Item] = []
        self._open: _Part | None = None
        self._details: Details = []
        writer.write("response.output_item.added", output_index=place, item=self.item("in_progress"))

    def add(self, kind: PartKind, text: str, *, block: object = None, logprobs: list[Item] | None = None) -> None:
        """Add to the part that is open, or to a new one where this is of another kind or block."""
        if self._open is None or (self._open.kind, self._open.block) != (kind, block):
            self._close_part()
            index_field = _GRAMMARS[kind].index_field
            index = sum(_GRAMMARS[_kind_of(part)].index_field == index_field for part in self._closed)
            place = {"item_id": self._item_id, "output_index": self._place, index_field: index}
            self._open = _Part(self._writer, kind, place, block)
        self._open.add(text, logprobs or [])

    def add_details(self, details: Details) -> None:
        """Keep what a client has to send back of the reasoning."""
        merge_details(self._details, details)

    def annotate(self, annotations: list[Item]) -> bool:
        """Put annotations to the text that is open; tell whether there was one."""
        if self._open is None or self._open.kind != "output_text":
            return False
        for annotation in annotations:
            self._open.annotate(annotation)
        return True

    def close(self, status: ItemStatus) -> Item:
        """End the item and return it."""
        self._close_part()
        item = self.item(status)
        self._writer.write("response.output_item.done", output_index=self._place, item=item)
        return item

    def item(self, status: ItemStatus) -> Item:
        """Return the item as far as it has come."""
        parts = [*self._closed, self._open.shown()] if self._open else list(self._closed)
        if self.kind == "message":
            return message_item(self._item_id, parts, status)
        return reasoning_item(self._item_id, parts, seal_details(self._details), status)

    def _close_part(self) -> None:
        if self._open is not None:
            self._closed.append(self._open.close())
            self._open = None


def _kind_of(part: Item) -> PartKind:
    kind: PartKind = part["type"]
    return kind
