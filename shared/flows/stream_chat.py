"""A chat completion answered as a stream: forwarded as it comes, kept alive, extended, settled before its last byte."""

import asyncio
import time
from typing import Protocol

from shared.clients.upstream import UpstreamCut, UpstreamTimeout, UpstreamTooLarge
from shared.core.caller import Caller
from shared.core.clock import elapsed_ms
from shared.core.errors import GatewayError
from shared.core.ids import RequestId
from shared.core.money import Nanos
from shared.core.pulse import wait_with_pulse
from shared.flows.attempt_providers import attempt_in_turn
from shared.flows.chat_request import Chat, ChatRequest, open_chat
from shared.flows.chat_usage import ResolvedUsage, resolve_usage
from shared.flows.departure import Departure
from shared.flows.forward_chat import Forwarded, StreamTimedOut
from shared.flows.inference import Inference
from shared.flows.judge_provider import note_end, note_failure
from shared.flows.open_stream import OpenStream, ask_for_stream
from shared.flows.settle_call import (
    Answered,
    answer_usage,
    close_unanswered,
    settle_answer,
    stored_meanwhile,
    usage_if_crashed,
)
from shared.flows.settle_chat import served_by, settle_by_look_up
from shared.flows.stream_clock import FIRST_PING_S, PING_S, StreamClock
from shared.ledger.types import Outcome, UsageSource
from shared.providers.failures import TIMED_OUT, UNREACHABLE, refusal_for
from shared.providers.priced import Priced
from shared.providers.sse import Event

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

    A retry of a request that was answered gets that answer again, byte for byte, and is not charged.

    raises  GatewayError subclasses while nothing has been written; afterwards an error is an event
    """
    dialect = request.dialect
    try:
        chat = await open_chat(inference, caller, request, sink.answer_headers, lambda: sink.write(dialect.ping()))
        if isinstance(chat, bytes):
            await _write(sink, chat, inference.deadline_s)
            return
        async with chat.call.meter.kept_alive(lambda: usage_if_crashed(chat.call)):
            await _answer(chat, await _open(chat, sink), sink)
    except GatewayError as refusal:
        if not sink.is_started:
            raise
        await sink.write(dialect.fail(refusal, sink.request_id, None).with_cost(None))


async def _answer(chat: Chat, opened: OpenStream, sink: Sink) -> None:
    chat.request.dialect.begin(served_by(chat, opened.offer))
    forwarded = Forwarded(chat, opened)
    try:
        await _forward(chat, forwarded, sink)
    finally:
        opened.source.close()
        _note_failure(forwarded)
        if forwarded.is_unreadable:
            await close_unanswered(chat.call)
        else:
            ending = await _settle(chat, forwarded, sink)
    if forwarded.is_unreadable:
        raise refusal_for(UNREACHABLE)
    await _write(sink, ending, max(LAST_WRITE_S, chat.call.remaining_s()))


def _note_failure(forwarded: Forwarded) -> None:
    """Note how the provider broke its answer off; that is no matter of the client's, which may have left meanwhile."""
    if forwarded.failure is not None:
        call = forwarded.chat.call
        note_failure(call, forwarded.opened.offer, forwarded.failure)
        call.trail.provider_failure = forwarded.failure.kind.value
    if forwarded.is_unreadable:
        forwarded.chat.call.trail.broken_off = refusal_for(UNREACHABLE).code


async def _open(chat: Chat, sink: Sink) -> OpenStream:
    """Return the first answer that begins; a request that none answers ends here, at no charge.

    raises  the refusal that the last failure means
    """
    is_open = False

    async def pulse() -> None:
        await sink.write(chat.request.dialect.ping())

    try:
        opened = await wait_with_pulse(
            attempt_in_turn(chat.call, lambda offer: ask_for_stream(chat, offer)),
            pulse,
            first_s=FIRST_PING_S,
            then_s=PING_S,
        )
        is_open = True
    finally:
        if not is_open:
            await close_unanswered(chat.call)
    sink.answer_headers["X-Provider"] = opened.offer.provider
    return opened


async def _forward(chat: Chat, forwarded: Forwarded, sink: Sink) -> None:
    """Pass events on until the answer is complete or cannot go on; how it ended is left in `forwarded`."""
    clock = StreamClock(chat.call.inference.silence_limit_s)
    departure = Departure(chat, forwarded.opened.offer)
    events = forwarded.opened.events
    try:
        while True:
            block = forwarded.take(events)
            if block:
                if chat.call.keeper is not None:
                    chat.call.keeper.add(block)
                with forwarded.pace.held_up():
                    await _write(sink, block, chat.call.remaining_s())
                clock.note_written()
                departure.note_written()
            if forwarded.is_over:
                return
            if sink.is_gone:
                if departure.ends_answer():
                    forwarded.end()
                    return
                forwarded.stop_growing()
            if time.monotonic() >= chat.call.deadline_s:
                raise StreamTimedOut
            with forwarded.pace.held_up():
                await forwarded.extend_when_due()
            events = await _read(chat, forwarded, clock)
            if clock.is_provider_silent:
                forwarded.end(TIMED_OUT)
                return
            if clock.is_ping_due and not events:
                await _write(sink, chat.request.dialect.ping(), chat.call.remaining_s())
                clock.note_ping()
    except UpstreamCut as error:
        # Of one that is too large we have read no further, which is no fault of the provider's.
        forwarded.end(None if isinstance(error, UpstreamTooLarge) else UNREACHABLE)
    except GatewayError as refusal:
        forwarded.interrupt(refusal)


async def _read(chat: Chat, forwarded: Forwarded, clock: StreamClock) -> list[Event]:
    """Return the next events; none when something else is due first."""
    try:
        events = await forwarded.read(min(clock.patience_s(), chat.call.remaining_s()))
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
    if outcome is Outcome.COMPLETED:
        took_ms = (chat.call.trail.first_byte_ms or 0) + elapsed_ms(forwarded.opened.opened_s)
        output_tokens = min(forwarded.passed_tokens, resolved.charged.quantities.output_tokens)
        note_end(chat.call, offer, took_ms=took_ms, output_tokens=output_tokens, written_s=forwarded.pace.written_s)
    elif outcome is Outcome.INTERRUPTED:
        chat.call.trail.broken_off = forwarded.refusal.code
        chat.call.trail.is_client_at_fault = forwarded.failure is None and forwarded.refusal.status < 500
    ending = Priced(b"")
    try:
        ending = _ending(chat, forwarded, resolved, sink)
    finally:
        # Whatever became of its last words, what the provider said is charged.
        answered = Answered(
            offer=offer,
            charged=resolved.charged,
            outcome=outcome,
            upstream_id=forwarded.last_chunk.id if forwarded.last_chunk else "",
            ending=ending,
        )
        async with stored_meanwhile(chat.call):
            cost_nanos = await _charge(chat, forwarded, answered, sink)
    return ending.with_cost(cost_nanos)


def _ending(chat: Chat, forwarded: Forwarded, resolved: ResolvedUsage, sink: Sink) -> Priced:
    dialect = chat.request.dialect
    if forwarded.is_complete:
        return dialect.end(forwarded.last_chunk, resolved.told())
    return dialect.fail(forwarded.refusal, sink.request_id, resolved.told())


async def _charge(chat: Chat, forwarded: Forwarded, answered: Answered, sink: Sink) -> Nanos | None:
    """Settle, and return what it cost; None where that is not known yet."""
    look_up = chat.call.trail.look_up if sink.is_gone or not forwarded.is_complete else None
    if look_up is not None and answered.charged.source is not UsageSource.PROVIDER:
        await settle_by_look_up(chat.call, answer_usage(chat.call, answered), look_up, has_client=not sink.is_gone)
        return None
    settlement = await settle_answer(chat.call, answered)
    return None if settlement is None else settlement.cost_nanos
