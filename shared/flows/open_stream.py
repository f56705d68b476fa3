"""The beginning of a streamed answer: one provider after the other, until the first event of one is there."""

import time
from dataclasses import dataclass
from typing import Protocol

from shared.clients.upstream import UpstreamAnswer, UpstreamCut, UpstreamTimeout
from shared.flows.attempt_providers import AttemptFailed, check_status
from shared.flows.chat_request import Chat
from shared.ledger.types import Offer
from shared.providers import simulated
from shared.providers.failures import classify_error
from shared.providers.openai_chat import DONE_PAYLOAD, read_chunk
from shared.providers.raw_json import MalformedAnswer
from shared.providers.sse import Event, EventParser


class EventSource(Protocol):
    """Where the events of one answer come from."""

    async def read_some(self, timeout_s: float) -> bytes:
        """Return the bytes that are there, b"" at the end.

        raises  UpstreamTimeout, and reading may go on; UpstreamCut
        """
        ...

    def close(self) -> None:
        """Let go of the connection."""
        ...


@dataclass(slots=True, kw_only=True)
class OpenStream:
    """An answer whose first events have arrived and have not been passed on."""

    offer: Offer
    source: EventSource
    parser: EventParser
    events: list[Event]
    opened_s: float


class _SimulatedSource:
    """The in-function provider's answer, there as a whole."""

    def __init__(self, events: list[bytes]) -> None:
        self._rest = b"".join(events)

    async def read_some(self, timeout_s: float) -> bytes:
        rest, self._rest = self._rest, b""
        return rest

    def close(self) -> None:
        return


async def ask_for_stream(chat: Chat, offer: Offer) -> OpenStream:
    """Ask one provider and wait for the first event that is neither a comment nor an error.

    raises  AttemptFailed, MalformedAnswer, EventTooLarge, and what the upstream client raises
    """
    source = await _source(chat, offer)
    parser = EventParser()
    try:
        events = await _first_events(chat, offer, source, parser)
    except BaseException:
        source.close()
        raise
    return OpenStream(offer=offer, source=source, parser=parser, events=events, opened_s=time.monotonic())


async def _source(chat: Chat, offer: Offer) -> EventSource:
    if offer.provider == simulated.SIMULATED.slug:
        return _SimulatedSource(simulated.answer_events(chat.request.body))
    provider = chat.call.provider_of(offer)
    answer: UpstreamAnswer = await chat.call.inference.upstream.post(
        provider.chat_url,
        chat.call.headers_to(provider),
        chat.upstream_body(offer),
        timeout_s=_patience_s(chat),
    )
    await check_status(answer, offer)
    chat.note_headers(offer, answer.headers)
    return answer


async def _first_events(chat: Chat, offer: Offer, source: EventSource, parser: EventParser) -> list[Event]:
    while True:
        data = await source.read_some(_patience_s(chat))
        chat.call.trail.is_heard |= bool(data)
        events = parser.feed(data) if data else parser.finish().events
        if events:
            _refuse_error(events[0], offer)
            return events
        if not data:
            raise UpstreamCut("a stream without events")
        if chat.call.remaining_s() == 0:
            raise UpstreamTimeout("no event before the deadline")


def _refuse_error(event: Event, offer: Offer) -> None:
    """Let an answer pass.

    raises  AttemptFailed for an error, MalformedAnswer for what is no chunk
    """
    if event.data == DONE_PAYLOAD:
        raise MalformedAnswer("a stream without chunks")
    chunk = read_chunk(event.data)
    if chunk.error is not None:
        raise AttemptFailed(classify_error(chunk.error, offer.upstream_model), 200)


def _patience_s(chat: Chat) -> float:
    return min(chat.call.remaining_s(), chat.call.inference.silence_limit_s)
