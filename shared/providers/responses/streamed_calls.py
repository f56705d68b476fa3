"""Tool calls under way in a stream, several at a time and told apart by what their provider numbers them by."""

import json

from shared.providers.responses.events import EventWriter
from shared.providers.responses.output import Call, Item, ItemStatus, Opening, call_item


class StreamedCall:
    """One tool call under way."""

    def __init__(self, writer: EventWriter, opening: Opening, place: int, call: Call) -> None:
        self.call_id = call.call_id
        self.name = call.name
        self._writer = writer
        self._place = place
        self._kind = call.kind
        self._item_id = opening.item_id(call.kind, place)
        self._shown_call_id = call.call_id or opening.call_id(place)
        self._pieces: list[str] = []
        self._events = (
            "response.custom_tool_call_input" if call.kind == "custom" else "response.function_call_arguments"
        )
        writer.write("response.output_item.added", output_index=place, item=self.item("in_progress"))
        self.add(call.text)

    @property
    def is_whole(self) -> bool:
        """Whether nothing has to follow: there are no arguments so far, or a whole object of them; or a free text."""
        text = "".join(self._pieces)
        if self._kind == "custom" or not text:
            return True
        try:
            json.loads(text)
        except (ValueError, RecursionError):
            return False
        return True

    def add(self, text: str) -> None:
        """Add to the call's arguments."""
        if text:
            self._pieces.append(text)
            self._writer.write(f"{self._events}.delta", item_id=self._item_id, output_index=self._place, delta=text)

    def close(self, status: ItemStatus) -> Item:
        """End the call and return its item."""
        item = self.item(status)
        said = {"input": item["input"]} if self._kind == "custom" else {"arguments": item["arguments"]}
        self._writer.write(f"{self._events}.done", item_id=self._item_id, output_index=self._place, **said)
        self._writer.write("response.output_item.done", output_index=self._place, item=item)
        return item

    def item(self, status: ItemStatus) -> Item:
        """Return the call as far as it has come."""
        call = Call(self._kind, self._shown_call_id, self.name, "".join(self._pieces))
        return call_item(call, self._item_id, status)


class CallBook:
    """Finds the call that a piece belongs to.

    policy  a piece names its call by index; where that is missing, by id; where that is missing too, it is the last
            one's. Some servers number all calls 0, others send a new id with every piece: another id and a name begin
            another call where the one before has all it needs, or another name
    source  github.com/InternLM/lmdeploy/issues/3412, github.com/vllm-project/vllm/issues/44098
    """

    def __init__(self) -> None:
        self.last: StreamedCall | None = None
        self._by_index: dict[int, StreamedCall] = {}

    def find(self, index: int | None, piece: Call) -> StreamedCall | None:
        """Return the call of a piece, None when it begins a new one."""
        if index is not None:
            found = self._by_index.get(index)
        elif piece.call_id:
            found = next((call for call in self._by_index.values() if call.call_id == piece.call_id), None)
        else:
            found = None if piece.name else self.last
        if found is None or not (piece.call_id and piece.name) or piece.call_id == found.call_id:
            return found
        return None if found.is_whole or piece.name != found.name else found

    def keep(self, index: int | None, call: StreamedCall) -> None:
        """Remember a call by the index that its provider gave it."""
        self._by_index[len(self._by_index) if index is None else index] = call
        self.last = call
