"""A chat client's answers: the provider's bytes as they came, but for the usage."""

from shared.core.errors import GatewayError, envelope
from shared.providers.dialect import Served, Used
from shared.providers.openai_chat import DONE, PING, Chunk, complete_answer, error_event, strip_usage, usage_chunk
from shared.providers.priced import Priced
from shared.providers.raw_json import MalformedAnswer
from shared.providers.sse import Event


class ChatDialect:
    """OpenAI's chat completions. is_usage_wanted: a stream tells its usage."""

    def __init__(self, *, is_usage_wanted: bool) -> None:
        self._is_usage_wanted = is_usage_wanted

    def read(self, body: bytes) -> None:
        """Let it pass: it is not taken apart."""

    def answer(self, body: bytes, served: Served, used: Used) -> Priced:
        """Return the provider's completion with the usage that was charged."""
        try:
            return complete_answer(body, usage=used.shown)
        except MalformedAnswer:
            # Readable where we looked and nowhere else: it is charged, so it is delivered as it came.
            return Priced(body)

    def begin(self, served: Served) -> None:
        """Learn nothing: the provider's bytes say all of it."""

    def take(self, event: Event, chunk: Chunk) -> bytes:
        """Return the chunk's own bytes, without its usage.

        raises  MalformedAnswer
        """
        if chunk.usage is None:
            return event.raw
        return strip_usage(event.data) if chunk.has_choices else b""

    def ping(self) -> bytes:
        """Return a comment, to stand in front of the next event."""
        return PING

    def end(self, last_chunk: Chunk | None, used: Used) -> Priced:
        """Return the usage where it is wanted, and [DONE]."""
        if not self._is_usage_wanted or last_chunk is None:
            return Priced(DONE)
        return usage_chunk(last_chunk, usage=used.shown).followed_by(DONE)

    def fail(self, refusal: GatewayError, request_id: str, used: Used | None) -> Priced:
        """Return the refusal as an event."""
        return Priced(error_event(envelope(refusal, request_id)))
