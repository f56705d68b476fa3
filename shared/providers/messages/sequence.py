"""Pieces put into content blocks: one block at a time, begun, filled and closed, as Anthropic streams them."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from shared.providers.messages.calls import Call, Calls
from shared.providers.messages.pieces import Piece, RedactedPiece, TextPiece, ThinkingPiece, ToolPiece
from shared.providers.messages.thinking import ENCRYPTED, is_foreign, seal

# OpenAI takes ids of up to 40 characters.
_CALL_ID_DIGITS = 24


class Begin(NamedTuple):
    """A block begins, empty; a redacted thought begins with all that it has."""

    block: dict[str, Any]


class Fill(NamedTuple):
    """A block gets more. kind: the delta's type; field: what of it."""

    kind: str
    field: str
    text: str


class Close(NamedTuple):
    """A block is whole."""


Step = Begin | Fill | Close


class _Thought:
    """The thinking block that is open. Its text waits for its end where the client does not want to see it."""

    def __init__(self, piece: ThinkingPiece) -> None:
        self.first = piece
        self.hidden_text = ""

    def continues(self, piece: Piece) -> bool:
        """Say whether the piece is of this thought: details that name another index or kind are of another."""
        if not isinstance(piece, ThinkingPiece) or piece.kind != self.first.kind:
            return False
        return None in (piece.number, self.first.number) or piece.number == self.first.number

    def sign(self, signature: str, *, is_omitted: bool) -> str:
        """Return the signature to show: the model's own, or a seal where that would not bring the thought back."""
        first = self.first
        foreign = is_foreign(first.format, first.kind)
        if not foreign and not (is_omitted and self.hidden_text):
            return signature
        kept = {"text": self.hidden_text} if is_omitted else {}
        if foreign or signature:
            details = {"format": first.format, "id": first.id, "index": first.number}
            return seal(kept | {"type": first.kind, "signature": signature} | details)
        return seal(kept)


class Sequencer:
    """Turns pieces into steps.

    A call that is open stays so until its arguments are whole, as more of them may come at any time; what arrives
    meanwhile waits. So pieces of several calls may arrive mixed, while a call that comes alone is passed on as it does.
    """

    def __init__(self, *, message_id: str, is_thinking_omitted: bool) -> None:
        self.has_calls = False
        self.is_refused = False
        self._call_prefix = f"toolu_{message_id.removeprefix('msg_')[-_CALL_ID_DIGITS:]}_"
        self._is_thinking_omitted = is_thinking_omitted
        self._calls = Calls()
        self._shown_calls = 0
        self._open: Call | _Thought | TextPiece | None = None
        self._waiting: list[Piece | Call] = []
        # Half an emoji: JavaScript upstreams cut between its two UTF-16 units.
        self._half = ""

    def take(self, pieces: Iterable[Piece]) -> Iterator[Step]:
        """Yield the steps that the pieces allow."""
        for piece in pieces:
            item: Piece | Call = self._calls.add(piece) if isinstance(piece, ToolPiece) else piece
            if self._may_show(item):
                yield from self._show(item)
                yield from self._show_waiting()
            elif not isinstance(item, Call):
                self._waiting.append(item)
            elif not item.is_waiting:
                item.is_waiting = True
                self._waiting.append(item)

    def finish(self) -> Iterator[Step]:
        """Yield what is left, when no more comes."""
        for item in self._waiting:
            yield from self._show(item)
        yield from self._close()

    @property
    def _is_blocked(self) -> bool:
        return isinstance(self._open, Call) and not self._open.is_complete

    def _may_show(self, item: Piece | Call) -> bool:
        if not isinstance(item, Call):
            return not self._is_blocked
        return item is self._open or item.is_closed or (item.is_ready and not self._is_blocked)

    def _show_waiting(self) -> Iterator[Step]:
        """Yield what waited, in its order, until a call is open again; calls that are not ready stay."""
        if self._is_blocked or not self._waiting:
            return
        waiting, self._waiting = self._waiting, []
        for position, item in enumerate(waiting):
            if self._is_blocked:
                self._waiting += waiting[position:]
                return
            if self._may_show(item):
                yield from self._show(item)
            else:
                self._waiting.append(item)

    def _show(self, item: Piece | Call) -> Iterator[Step]:
        if isinstance(item, Call):
            yield from self._show_call(item)
        elif isinstance(item, TextPiece):
            self.is_refused = self.is_refused or item.is_refusal
            if not isinstance(self._open, TextPiece):
                yield from self._begin(item, {"type": "text", "text": ""})
            yield from self._fill("text_delta", "text", item.text)
        elif isinstance(item, ThinkingPiece):
            yield from self._show_thought(item)
        elif isinstance(item, RedactedPiece):
            is_plain = not is_foreign(item.format, ENCRYPTED)
            details = {"format": item.format, "id": item.id, "index": item.number}
            data = item.data if is_plain else seal({"type": ENCRYPTED, "data": item.data} | details)
            yield from self._close()
            yield Begin({"type": "redacted_thinking", "data": data})
            yield Close()

    def _show_call(self, call: Call) -> Iterator[Step]:
        if call.is_closed:
            return
        if call is not self._open:
            self.has_calls = True
            self._shown_calls += 1
            call_id = call.id or f"{self._call_prefix}{self._shown_calls}"
            yield from self._begin(call, {"type": "tool_use", "id": call_id, "name": call.name, "input": {}})
        yield from self._fill("input_json_delta", "partial_json", call.take_arguments())

    def _show_thought(self, piece: ThinkingPiece) -> Iterator[Step]:
        if not isinstance(self._open, _Thought) or not self._open.continues(piece):
            yield from self._begin(_Thought(piece), {"type": "thinking", "thinking": "", "signature": ""})
        thought = self._open
        assert isinstance(thought, _Thought)
        if self._is_thinking_omitted:
            thought.hidden_text += piece.text
        else:
            yield from self._fill("thinking_delta", "thinking", piece.text)
        if piece.signature:
            yield from self._close(piece.signature)

    def _begin(self, item: "Call | _Thought | TextPiece", block: dict[str, Any]) -> Iterator[Step]:
        yield from self._close()
        self._open = item
        yield Begin(block)

    def _fill(self, kind: str, field: str, text: str, *, is_last: bool = False) -> Iterator[Step]:
        text, self._half = self._half + text, ""
        if not is_last and "\ud800" <= text[-1:] <= "\udbff":
            text, self._half = text[:-1], text[-1]
        if text:
            yield Fill(kind, field, text)

    def _close(self, signature: str = "") -> Iterator[Step]:
        closed = self._open
        if closed is None:
            return
        if isinstance(closed, Call):
            yield from self._fill("input_json_delta", "partial_json", closed.close(), is_last=True)
        elif isinstance(closed, TextPiece):
            yield from self._fill("text_delta", "text", "", is_last=True)
        else:
            yield from self._fill("thinking_delta", "thinking", "", is_last=True)
            shown = closed.sign(signature, is_omitted=self._is_thinking_omitted)
            yield from self._fill("signature_delta", "signature", shown, is_last=True)
        self._open = None
        yield Close()
