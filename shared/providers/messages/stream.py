"""Chat chunks as Anthropic's stream of events."""

from collections.abc import Iterable, Mapping
from typing import Any, Literal

from shared.core.errors import GatewayError
from shared.providers.messages.errors import error_body
from shared.providers.messages.pieces import read_pieces
from shared.providers.messages.request import Echo
from shared.providers.messages.sequence import Begin, Fill, Sequencer, Step
from shared.providers.messages.shapes import empty_message, usage_fields, write_event
from shared.providers.messages.stop import Ended, StopSigns
from shared.providers.priced import CostPlace, Priced
from shared.providers.usage import UsageReport

PING = write_event({"type": "ping"})


class MessageStream:
    """One streamed message. After its end it writes nothing more.

    message_id: chosen by the caller; input_tokens: what is known of them at the start, the last event tells them right
    """

    def __init__(self, echo: Echo, *, message_id: str, model: str, input_tokens: int = 0) -> None:
        self._echo = echo
        self._message_id = message_id
        self._model = model
        self._input_tokens = input_tokens
        self._sequencer = Sequencer(message_id=message_id, is_thinking_omitted=echo.is_thinking_omitted)
        self._signs = StopSigns()
        self._next_index = 0
        self._is_begun = False
        self._is_over = False

    def begin(self) -> bytes:
        """Return message_start, once; every other method begins by itself."""
        if self._is_begun or self._is_over:
            return b""
        self._is_begun = True
        usage = {
            "input_tokens": self._input_tokens,
            "cache_creation_input_tokens": 0,
            "cache_read_input_tokens": 0,
            "output_tokens": 0,
            "service_tier": "standard",
        }
        not_ended = {"stop_reason": None, "stop_sequence": None, "stop_details": None}
        message = empty_message(self._message_id, self._model) | not_ended | {"usage": usage}
        return write_event({"type": "message_start", "message": message})

    def take(self, chunk: Mapping[str, Any]) -> bytes:
        """Return the events of one decoded chunk, none where it says nothing of the first choice."""
        if self._is_over:
            return b""
        events = [self.begin()]
        choices = chunk.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            if not isinstance(choice, dict) or choice.get("index") not in (0, None):
                continue
            delta = choice.get("delta")
            if isinstance(delta, dict):
                events.append(self._write(self._sequencer.take(read_pieces(delta))))
            self._signs.take(choice)
        return b"".join(events)

    def ping(self) -> bytes:
        """Return the event that keeps a silent stream alive."""
        return b"" if self._is_over else self.begin() + PING

    def complete(self, usage: UsageReport) -> Priced:
        """End the answer that its provider ended."""
        return self._end(usage, None)

    def incomplete(self, reason: Literal["max_tokens", "refusal", "pause_turn"], usage: UsageReport) -> Priced:
        """End an answer that was cut where a client may take what there is."""
        return self._end(usage, Ended(reason))

    def fail(self, error: GatewayError, request_id: str | None, usage: UsageReport | None = None) -> Priced:
        """End with an error.

        The block that is open stays so: closed, a client would take half a tool call for a whole one. What was used,
        and the place of what was charged for it, stand in the error beside Anthropic's own fields.
        """
        if self._is_over:
            return Priced(b"")
        body = error_body(error, request_id)
        begun = self.begin()
        self._is_over = True
        if usage is None:
            return Priced(begun + write_event(body))
        place = CostPlace()
        return place.split(begun + write_event({**body, "usage": usage_fields(usage, place)}))

    def _end(self, usage: UsageReport, ended: Ended | None) -> Priced:
        if self._is_over:
            return Priced(b"")
        events = self.begin() + self._write(self._sequencer.finish())
        self._is_over = True
        sequencer = self._sequencer
        ended = ended or self._signs.ended(self._echo, has_calls=sequencer.has_calls, is_refused=sequencer.is_refused)
        place = CostPlace()
        delta = {"type": "message_delta", "delta": ended.fields(), "usage": usage_fields(usage, place)}
        return place.split(events + write_event(delta) + write_event({"type": "message_stop"}))

    def _write(self, steps: Iterable[Step]) -> bytes:
        return b"".join([self._write_step(step) for step in steps])

    def _write_step(self, step: Step) -> bytes:
        if isinstance(step, Fill):
            delta = {"type": step.kind, step.field: step.text}
            return write_event({"type": "content_block_delta", "index": self._next_index, "delta": delta})
        if isinstance(step, Begin):
            return write_event({"type": "content_block_start", "index": self._next_index, "content_block": step.block})
        self._next_index += 1
        return write_event({"type": "content_block_stop", "index": self._next_index - 1})
