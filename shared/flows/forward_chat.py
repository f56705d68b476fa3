"""What has passed through a stream so far: read beside the bytes, which go on as they came."""

from shared.clients.upstream import UpstreamTooLarge
from shared.core.errors import GatewayError, StoreUnavailable
from shared.flows.chat_request import DEFAULT_OUTPUT_TOKENS, Chat
from shared.flows.chat_usage import counted_output_tokens
from shared.flows.open_stream import OpenStream
from shared.flows.stream_clock import Pace
from shared.ledger.refusals import InsufficientCredits, KeySpendLimitReached
from shared.ledger.types import Quantities
from shared.providers.failure_kinds import ProviderFailure
from shared.providers.failures import UNREACHABLE, classify_error, refusal_for
from shared.providers.openai_chat import DONE_PAYLOAD, Chunk, read_chunk
from shared.providers.raw_json import MalformedAnswer
from shared.providers.sse import Event, EventTooLarge

# The hold is extended while this much of it is still unused, so that a provider's batch of tokens is covered.
EXTENSION_MARGIN_TOKENS = 512


class StreamInterrupted(GatewayError):
    """The provider ended its answer in the middle."""

    status = 502
    code = "stream_interrupted"
    advice = "The provider ended its answer in the middle; what arrived is charged."
    type = "server_error"

    def __init__(self) -> None:
        super().__init__(
            "The provider ended its answer early. What arrived is charged; send the request again for the rest."
        )


class StreamTimedOut(GatewayError):
    """The answer took longer than this function may run."""

    status = 504
    code = "time_limit_reached"
    type = "server_error"

    def __init__(self) -> None:
        super().__init__("The answer took longer than a request may. What arrived is charged; ask for a shorter one.")


class HoldNotExtended(GatewayError):
    """The answer grew past its hold while our storage did not answer."""

    status = 503
    code = "hold_not_extended"
    advice = "A stream has used what was set aside, and storage failed to set aside more; what arrived is charged."
    type = "server_error"

    def __init__(self) -> None:
        super().__init__(
            "The answer had to end here because the gateway's storage did not answer while it grew. "
            "What arrived is charged; send the request again for the rest."
        )


class Forwarded:
    """One answer under way. is_complete: the provider said all of it; is_over: no more is to be read.

    is_misread: the client's dialect cannot say what came last, or broke on it; failure: how the provider broke it off,
    None where it did not; pace: how long it wrote
    """

    def __init__(self, chat: Chat, opened: OpenStream) -> None:
        self.chat = chat
        self.opened = opened
        self.raw_usage: bytes | None = None
        self.output_bytes = 0
        self.last_chunk: Chunk | None = None
        self.refusal: GatewayError = StreamInterrupted()
        self.failure: ProviderFailure | None = None
        self.pace = Pace(opened.opened_s)
        self.is_complete = False
        self.is_over = False
        self.is_misread = False
        self._has_passed = False
        # Read for its money here, passed on in the words of the client.
        self._pass_on = chat.request.dialect.take
        self._is_at_end = False
        self._finished: set[int] = set()
        self._text_chunks = 0
        self._held_tokens = chat.request.choices * opened.offer.output_tokens
        self._growth_refusal: GatewayError | None = None
        # From the first refusal on the hold grows in small steps, so that all of the balance can be used.
        self._is_balance_low = False
        # Then it is asked again only at the edge of the hold: each try may take seconds, and what is held is paid for.
        self._is_store_away = False
        # Events that arrived beyond what the hold pays for, until it has grown.
        self._waiting: list[Event] = []

    def take(self, events: list[Event]) -> bytes:
        """Read events and return the bytes to pass on: of all but usage, [DONE], and what follows an error."""
        passed: list[bytes] = []
        for position, event in enumerate(events):
            if event.data == DONE_PAYLOAD:
                self.is_complete = self.is_over = True
                break
            try:
                chunk = read_chunk(event.data)
                if chunk.output_bytes and self._has_used_its_hold:
                    self._wait_or_end(events[position:])
                    break
                raw = self._take_chunk(event, chunk)
            except MalformedAnswer:
                # What the client's dialect cannot say may be well said in another.
                self.failure = None if self.is_misread else UNREACHABLE
                self.interrupt()
                break
            if self.is_over:
                break
            passed.append(raw)
        if self._is_at_end and not self._waiting and not self.is_over:
            self.end(UNREACHABLE)
        block = b"".join(passed)
        self._has_passed |= bool(block)
        return block

    async def read(self, timeout_s: float) -> list[Event]:
        """Return the next events, none when there was only a part of one; the end of the stream ends the answer.

        raises  UpstreamTimeout, UpstreamCut, UpstreamTooLarge
        """
        if self._waiting:
            events, self._waiting = self._waiting, []
            return events
        data = await self.opened.source.read_some(timeout_s)
        self.pace.note_read()
        try:
            if data:
                return self.opened.parser.feed(data)
        except EventTooLarge as error:
            raise UpstreamTooLarge(str(error)) from error
        self._is_at_end = True
        ending = self.opened.parser.finish()
        if ending.unfinished is not None and ending.unfinished.data == DONE_PAYLOAD:
            return [*ending.events, ending.unfinished]
        return ending.events

    @property
    def is_unreadable(self) -> bool:
        """Whether it was misread before anything of it could be passed on."""
        return self.is_misread and not self._has_passed

    @property
    def passed_tokens(self) -> int:
        """How many tokens of it were sent, by their bytes: none of those that a provider thinks and keeps to itself."""
        return max(counted_output_tokens(self.output_bytes), self._text_chunks)

    def end(self, failure: ProviderFailure | None = None) -> None:
        """End the answer where its bytes end; without [DONE] it is complete when every choice said so.

        failure: what it means of the provider where it is not complete, None where it is not the provider that ends it;
        of one that was left waiting for long, nothing
        """
        self.is_over = True
        self.is_complete = len(self._finished) >= self.chat.request.choices
        self.failure = None if self.is_complete or self.pace.was_held_up_for_long else failure

    def interrupt(self, refusal: GatewayError | None = None) -> None:
        """End the answer here; the client is told why."""
        self.is_over = True
        self.refusal = refusal or self.refusal

    def stop_growing(self, refusal: GatewayError | None = None) -> None:
        """Let an answer that nobody bounded go on to what its hold pays for and no further."""
        if self.chat.is_extensible(self.opened.offer):
            self._growth_refusal = self._growth_refusal or refusal or self.refusal

    async def extend_when_due(self) -> None:
        """Have the hold grow with an answer that nobody bounded; where it may not, the answer ends with the hold.

        raises  HoldNotExtended
        """
        margin_tokens = EXTENSION_MARGIN_TOKENS * self.chat.request.choices
        while self.passed_tokens + margin_tokens > self._held_tokens:
            is_put_off = self._is_store_away and not self._waiting
            if self._growth_refusal is not None or is_put_off or not self._may_grow:
                return
            step_tokens = margin_tokens if self._is_balance_low else max(self._held_tokens, DEFAULT_OUTPUT_TOKENS)
            try:
                await self._extend(max(self._held_tokens, self.passed_tokens) + step_tokens)
            except StoreUnavailable:
                if self._is_store_away:
                    raise HoldNotExtended from None
                self._is_store_away = True
            except (InsufficientCredits, KeySpendLimitReached) as refusal:
                if self._is_balance_low:
                    self.stop_growing(refusal)
                self._is_balance_low = True

    async def _extend(self, wanted_tokens: int) -> None:
        offer = self.opened.offer
        wanted_tokens = min(wanted_tokens, self.chat.request.choices * offer.max_output_tokens)
        quantities = Quantities(
            input_tokens=offer.input_tokens, output_tokens=wanted_tokens, images=self.chat.counts.image_count
        )
        await self.chat.call.meter.extend(offer.price_id, quantities)
        self._held_tokens = wanted_tokens
        self._is_store_away = False

    @property
    def _has_used_its_hold(self) -> bool:
        return self.passed_tokens >= self._held_tokens and self._may_grow

    @property
    def _may_grow(self) -> bool:
        offer = self.opened.offer
        return (
            self.chat.is_extensible(offer) and self._held_tokens < self.chat.request.choices * offer.max_output_tokens
        )

    def _wait_or_end(self, events: list[Event]) -> None:
        if self._growth_refusal is None:
            self._waiting = events
        else:
            self.interrupt(self._growth_refusal)

    def _take_chunk(self, event: Event, chunk: Chunk) -> bytes:
        if chunk.error is not None:
            self.failure = classify_error(chunk.error, self.opened.offer.upstream_model)
            self.interrupt(refusal_for(self.failure))
            return b""
        if chunk.id or self.last_chunk is None:
            self.last_chunk = chunk
        self.output_bytes += chunk.output_bytes
        self._text_chunks += chunk.output_bytes > 0
        self._finished.update(chunk.finished)
        if chunk.output_bytes:
            # A report that more text follows was not the last word.
            self.raw_usage = None
        if chunk.usage is not None:
            self.raw_usage = chunk.usage
        self.is_misread = True
        said = self._pass_on(event, chunk)
        self.is_misread = False
        return said
