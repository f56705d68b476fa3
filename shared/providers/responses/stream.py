"""A stream of chat chunks as the events of a response."""

from collections.abc import Mapping
from typing import Any, Literal

from shared.core.errors import GatewayError
from shared.providers.openai_chat import DONE, PING
from shared.providers.priced import Priced
from shared.providers.responses.errors import error_event, response_error
from shared.providers.responses.events import EventWriter, event_head
from shared.providers.responses.output import (
    Call,
    Ending,
    IncompleteReason,
    Item,
    ItemStatus,
    Opening,
    encode_json,
    incomplete_reason,
    priced_json,
    response_object,
)
from shared.providers.responses.reasoning import Details, merge_details, read_details, read_thoughts
from shared.providers.responses.said import read_annotations, read_calls, read_logprobs, read_refusal, read_text
from shared.providers.responses.streamed_calls import CallBook, StreamedCall
from shared.providers.responses.streamed_parts import StreamedParts
from shared.providers.usage import UsageReport


class ResponseStream:
    """One response under way: begin, take each chunk, then one of complete, incomplete and fail; after it nothing more.

    Words end where thoughts or a call begin; calls stay open until the answer ends, because their pieces may alternate.
    """

    def __init__(self, opening: Opening, echo: Mapping[str, Any]) -> None:
        self._opening = opening
        self._echo = echo
        self._writer = EventWriter()
        self._is_begun = False
        self._is_over = False
        self._is_finished = False
        # When it has ended: the response as its last event shows it, without its usage.
        self.response: dict[str, Any] | None = None
        # By output index: what is closed, and what is open.
        self._closed: dict[int, Item] = {}
        self._open: dict[int, StreamedParts | StreamedCall] = {}
        self._words: StreamedParts | None = None
        self._calls = CallBook()
        self._unnamed: dict[int | None, Call] = {}
        self._reason: IncompleteReason | None = None
        self._waiting_details: Details = []
        self._waiting_annotations: list[Item] = []
        self._waiting_logprobs: list[Item] = []

    @property
    def output(self) -> list[Item]:
        """The items so far, for whoever stores the response; what is still open is incomplete."""
        items = dict(self._closed)
        items.update({place: streamed.item("incomplete") for place, streamed in self._open.items()})
        return [items[place] for place in sorted(items)]

    def begin(self) -> bytes:
        """Return the events that come before any of the answer; nothing when they have left."""
        if self._is_begun or self._is_over:
            return b""
        self._begin()
        return self._writer.take()

    def take(self, chunk: Mapping[str, Any]) -> bytes:
        """Return the events of one chunk.

        shape   chunk: decoded by json, which alone reads halves of emoji
        policy  what is not as OpenAI has it is read as far as it goes, and skipped beyond
        """
        if self._is_over:
            return b""
        self._begin()
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if isinstance(choice, Mapping) and choice.get("index") in (None, 0):
                self._take_choice(choice)
        return self._writer.take()

    def complete(self, usage: UsageReport | None, *, now: int) -> Priced:
        """End an answer that the provider ended: completed, or incomplete where its finish_reason says so.

        shape   now: seconds since 1970
        """
        if self._reason is not None:
            return self.incomplete(self._reason, usage)
        return self._end(Ending(status="completed", completed_at=now, usage=usage))

    def incomplete(self, reason: IncompleteReason, usage: UsageReport | None) -> Priced:
        """End an answer that was cut."""
        self._reason = reason
        return self._end(Ending(status="incomplete", incomplete_reason=reason, usage=usage))

    def fail(self, error: GatewayError, usage: UsageReport | None, *, request_id: str | None) -> Priced:
        """End an answer that broke: the event `error`, which clients raise, then the response as far as it came.

        policy  what is open stays unclosed: a client acts on a call that is done
        source  https://www.openresponses.org/specification#errors
        """
        if self._is_over:
            return Priced(b"")
        self._begin()
        self._writer.write("error", **error_event(error, request_id))
        return self._last_event(Ending(status="failed", error=response_error(error, request_id), usage=usage))

    @staticmethod
    def ping() -> bytes:
        """Return what keeps a silent stream alive: a comment, to stand in front of the next event."""
        return PING

    def _begin(self) -> None:
        if self._is_begun:
            return
        self._is_begun = True
        response = response_object(self._opening, self._echo, [], Ending(status="in_progress"))
        self._writer.write("response.created", response=response)
        self._writer.write("response.in_progress", response=response)

    def _take_choice(self, choice: Mapping[str, Any]) -> None:
        delta = choice.get("delta")
        said = delta if isinstance(delta, Mapping) else {}
        self._take_thoughts(said)
        self._take_words(choice, said)
        for index, piece in read_calls(said):
            self._take_call(index, piece)
        if choice.get("finish_reason") is not None:
            self._finish(choice["finish_reason"])

    def _take_thoughts(self, said: Mapping[str, Any]) -> None:
        merge_details(self._waiting_details, read_details(said))
        for thought in read_thoughts(said):
            self._open_words("reasoning").add(thought.kind, thought.text, block=thought.block)
        # A seal that comes among words or calls waits for their end: a text in two items is no JSON any more.
        is_thinking = self._words is not None and self._words.kind == "reasoning"
        if self._waiting_details and (is_thinking or not self._open):
            self._deliver_details()

    def _deliver_details(self) -> None:
        self._open_words("reasoning").add_details(self._waiting_details)
        self._waiting_details = []

    def _take_words(self, choice: Mapping[str, Any], said: Mapping[str, Any]) -> None:
        self._waiting_annotations += read_annotations(said)
        self._waiting_logprobs += read_logprobs(choice)
        text, refusal = read_text(said), read_refusal(said)
        if text:
            self._open_words("message").add("output_text", text, logprobs=self._waiting_logprobs)
            self._waiting_logprobs = []
        if self._waiting_annotations and self._words is not None and self._words.annotate(self._waiting_annotations):
            self._waiting_annotations = []
        if refusal:
            self._open_words("message").add("refusal", refusal)

    def _take_call(self, index: int | None, piece: Call) -> None:
        call = self._calls.find(index, piece)
        if call is not None:
            call.add(piece.text)
            return
        # A call is shown with its name, which some servers send after its id.
        waiting = self._unnamed.pop(index, None)
        if waiting is not None:
            piece = Call(
                waiting.kind, piece.call_id or waiting.call_id, piece.name or waiting.name, waiting.text + piece.text
            )
        if piece.name:
            self._open_call(index, piece)
        elif piece.call_id or piece.text:
            self._unnamed[index] = piece

    def _open_call(self, index: int | None, piece: Call) -> None:
        self._close_words("completed")
        place = len(self._closed) + len(self._open)
        call = StreamedCall(self._writer, self._opening, place, piece)
        self._open[place] = call
        self._calls.keep(index, call)

    def _open_words(self, kind: Literal["message", "reasoning"]) -> StreamedParts:
        if self._words is None or self._words.kind != kind:
            self._close_words("completed")
            place = len(self._closed) + len(self._open)
            self._words = StreamedParts(self._writer, kind, self._opening.item_id(kind, place), place)
            self._open[place] = self._words
        return self._words

    def _close_words(self, status: ItemStatus) -> None:
        for place, streamed in list(self._open.items()):
            if streamed is self._words:
                self._closed[place] = self._open.pop(place).close(status)
        self._words = None

    def _finish(self, finish_reason: object) -> None:
        """Close what is open as soon as its end is known; a reason that is said again changes nothing.

        What is cut stays open: only the last item may be incomplete, and some servers go on.
        """
        has_more = bool(self._open or self._unnamed)
        if self._reason is None and (has_more or not self._is_finished):
            self._reason = incomplete_reason(finish_reason)
        self._is_finished = True
        if self._reason is None:
            self._close_all()

    def _close_all(self) -> None:
        for index, piece in list(self._unnamed.items()):
            self._open_call(index, piece)
        self._unnamed.clear()
        if self._waiting_details:
            self._deliver_details()
        last_place = len(self._closed) + len(self._open) - 1
        for place, streamed in sorted(self._open.items()):
            is_cut = self._reason is not None and place == last_place
            self._closed[place] = streamed.close("incomplete" if is_cut else "completed")
        self._open.clear()
        self._words = None
        self._calls = CallBook()

    def _end(self, ending: Ending) -> Priced:
        if self._is_over:
            return Priced(b"")
        self._begin()
        self._close_all()
        return self._last_event(ending)

    def _last_event(self, ending: Ending) -> Priced:
        self._is_over = True
        event_type = f"response.{ending.status}"
        before = self._writer.take() + event_head(event_type)
        before += b'{"type":%b,"sequence_number":%d,"response":' % (encode_json(event_type), self._writer.number())
        self.response = response_object(self._opening, self._echo, self.output, ending)
        return priced_json(self.response, ending.usage, around=(before, b"}\n\n" + DONE))
