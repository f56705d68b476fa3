"""A chat completion answered as a stream: forwarded as it comes, kept alive, extended, settled before its last byte."""

import asyncio
import time
from typing import Protocol

from shared.clients.upstream import UpstreamCut, UpstreamTimeout
from shared.core.errors import GatewayError, envelope
from shared.core.ids import RequestId
from shared.core.pulse import wait_with_pulse
from shared.flows.attempt_providers import attempt_in_turn
from shared.flows.chat_request import Chat, ChatRequest, open_chat
from shared.flows.chat_usage import resolve_usage
from shared.flows.forward_chat import Forwarded, StreamTimedOut
from shared.flows.inference import Caller, Inference
from shared.flows.open_stream import OpenStream, ask_for_stream
from shared.flows.settle_chat import close_unanswered, settle_answer
from shared.flows.stream_clock import FIRST_PING_S, PING_S, StreamClock
from shared.ledger.types import Outcome
from shared.providers.openai_chat import DONE, PING, error_event, usage_chunk
from shared.providers.sse import Event

# How long an answer is still read for a client that has left: it is charged as the provider charges, and only the
# provider's own report knows what it thought unseen.
DRAIN_LIMIT_S = 120.0
# How long a client that reads slowly may take over the last frame when the request's own time is over.
LAST_WRITE_S = 5.0


class Sink(Protocol):
    """Where a stream goes. Its headers leave with the first write; answer_headers may be filled until then."""

    answer_headers: dict[str, str]
    request_id: RequestId

    @property
    def is_started(self) -> bool:
        """Whether the headers have left."""
        ...

    @property
    def is_gone(self) -> bool:
        """Whether the client has hung up; writes are then dropped."""
        ...

    def mark_gone(self) -> None:
        """Treat the client as one that has hung up."""
        ...

    async def write(self, data: bytes) -> None:
        """Send bytes, waiting while the client is slow."""
        ...


async def stream_chat(inference: Inference, caller: Caller, request: ChatRequest, sink: Sink) -> None:
    """Admit the request and stream its answer into the sink; the money is settled before the last frame.

    raises  GatewayError subclasses while nothing has been written; afterwards an error is an event
    """
    chat = await open_chat(inference, caller, request, sink.answer_headers)
    async with chat.meter.kept_alive():
        await _answer(chat, sink)


async def _answer(chat: Chat, sink: Sink) -> None:
    try:
        opened = await _open(chat, sink)
    except GatewayError as refusal:
        if not sink.is_started:
            raise
        await sink.write(error_event(envelope(refusal, sink.request_id)))
        return
    forwarded = Forwarded(chat, opened)
    try:
        await _forward(chat, forwarded, sink)
    finally:
        opened.source.close()
        ending = await _settle(chat, forwarded, sink)
    await _write(sink, ending, max(LAST_WRITE_S, chat.remaining_s()))


async def _open(chat: Chat, sink: Sink) -> OpenStream:
    """Return the first answer that begins; a request that none answers ends here, at no charge.

    raises  the refusal that the last failure means
    """
    is_open = False

    async def pulse() -> None:
        await sink.write(PING)

    try:
        opened = await wait_with_pulse(
            attempt_in_turn(
                chat.inference,
                chat.offers,
                lambda offer: ask_for_stream(chat, offer),
                chat.trail,
                deadline_s=chat.deadline_s,
            ),
            pulse,
            first_s=FIRST_PING_S,
            then_s=PING_S,
        )
        is_open = True
    finally:
        if not is_open:
            await close_unanswered(chat)
    sink.answer_headers["X-Provider"] = opened.offer.provider
    return opened


async def _forward(chat: Chat, forwarded: Forwarded, sink: Sink) -> None:
    """Pass events on until the answer is complete or cannot go on; how it ended is left in `forwarded`."""
    opened = forwarded.opened
    clock = StreamClock(chat.inference.silence_limit_s)
    events = opened.events
    gone_since_s: float | None = None
    try:
        while True:
            block = forwarded.take(events)
            if block:
                await _write(sink, block, chat.remaining_s())
                clock.note_written()
            if forwarded.is_over:
                return
            now_s = time.monotonic()
            if sink.is_gone:
                gone_since_s = gone_since_s or now_s
                if now_s - gone_since_s >= DRAIN_LIMIT_S:
                    return
            if now_s >= chat.deadline_s:
                raise StreamTimedOut
            if sink.is_gone:
                forwarded.stop_growing()
            await forwarded.extend_when_due()
            events = await _read(chat, forwarded, clock)
            if clock.is_provider_silent:
                forwarded.end()
                return
            if clock.is_ping_due and not events:
                await _write(sink, PING, chat.remaining_s())
                clock.note_ping()
    except UpstreamCut:
        forwarded.end()
    except GatewayError as refusal:
        forwarded.interrupt(refusal)


async def _read(chat: Chat, forwarded: Forwarded, clock: StreamClock) -> list[Event]:
    """Return the next events; none when something else is due first."""
    try:
        events = await forwarded.read(min(clock.patience_s(), chat.remaining_s()))
    except UpstreamTimeout:
        return []
    clock.note_read()
    return events


async def _write(sink: Sink, data: bytes, timeout_s: float) -> None:
    """Send bytes; a client that takes none for so long counts as gone: it is charged, and waited for no more."""
    try:
        async with asyncio.timeout(timeout_s):
            await sink.write(data)
    except TimeoutError:
        sink.mark_gone()


async def _settle(chat: Chat, forwarded: Forwarded, sink: Sink) -> bytes:
    """Charge what passed, and return the last frames: they may leave only now."""
    offer = forwarded.opened.offer
    resolved = resolve_usage(chat, offer, forwarded.raw_usage, forwarded.output_bytes)
    outcome = Outcome.COMPLETED
    if not forwarded.is_complete:
        outcome = Outcome.ABANDONED if sink.is_gone else Outcome.INTERRUPTED
    chat.inference.health.record_throughput(
        offer.provider,
        offer.model_id,
        tokens=resolved.quantities.output_tokens,
        seconds=time.monotonic() - forwarded.opened.opened_s,
    )
    settlement = await settle_answer(chat, offer, resolved, outcome)
    if not forwarded.is_complete:
        return error_event(envelope(forwarded.refusal, sink.request_id))
    if not chat.request.is_usage_wanted or forwarded.last_chunk is None:
        return DONE
    cost = None if settlement is None else settlement.cost_nanos
    return usage_chunk(forwarded.last_chunk, usage=resolved.shown, cost=cost) + DONE
