"""What the engine asks of a client's dialect: it forwards and settles, and knows no words of any client."""

from typing import Protocol

import msgspec

from shared.core.errors import GatewayError
from shared.core.ids import GenerationId, ModelId
from shared.providers.openai_chat import Chunk
from shared.providers.priced import Priced
from shared.providers.sse import Event
from shared.providers.usage import UsageReport


class Served(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an answer when a provider begins it.

    input_tokens: an estimate, until the end tells them; is_kept: the account lets answers be stored
    units   began_at_s: seconds since 1970
    """

    generation_id: GenerationId
    model: ModelId
    input_tokens: int
    began_at_s: int
    is_kept: bool = True


class Used(msgspec.Struct, frozen=True, kw_only=True):
    """What an answer is charged for; shown: the same as chat's `usage`, the provider's own where that can be shown."""

    report: UsageReport
    shown: bytes
    ended_at_s: int


class Dialect(Protocol):
    """How one request's client is answered, whole or as a stream; an object serves one request.

    Whole: read, then answer. A stream: begin, take each chunk, then end or fail; ping at any time, and fail instead of
    all of it where a client waits for a provider that never begins.
    """

    def read(self, body: bytes) -> None:
        """Read a provider's whole completion; raises MalformedAnswer for one that could not be passed on."""
        ...

    def answer(self, body: bytes, served: Served, used: Used) -> Priced:
        """Return the whole answer, with the place of its cost."""
        ...

    def begin(self, served: Served) -> None:
        """Learn who serves; nothing leaves before the first chunk."""
        ...

    def take(self, event: Event, chunk: Chunk) -> bytes:
        """Return what is passed on of one chunk; raises MalformedAnswer for one that cannot be."""
        ...

    def ping(self) -> bytes:
        """Return what tells a client that waits that we are still there."""
        ...

    def end(self, last_chunk: Chunk | None, used: Used) -> Priced:
        """Return the last bytes of an answer that is complete."""
        ...

    def fail(self, refusal: GatewayError, request_id: str, used: Used | None) -> Priced:
        """Return the last bytes of one that is not."""
        ...
