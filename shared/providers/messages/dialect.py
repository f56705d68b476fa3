"""A Messages client's answers, as the engine asks for them."""

from typing import Any

from shared.core.errors import GatewayError
from shared.providers.decoded import decode_json_object
from shared.providers.dialect import Served, Used
from shared.providers.messages.answer import to_message
from shared.providers.messages.errors import error_event
from shared.providers.messages.request import Echo
from shared.providers.messages.stream import PING, MessageStream
from shared.providers.openai_chat import Chunk
from shared.providers.priced import Priced
from shared.providers.sse import Event


class MessagesDialect:
    """Anthropic's Messages."""

    def __init__(self, echo: Echo) -> None:
        self._echo = echo
        self._completion: dict[str, Any] = {}
        self._stream: MessageStream | None = None

    def read(self, body: bytes) -> None:
        """Decode a completion.

        raises  MalformedAnswer
        """
        self._completion = decode_json_object(body)

    def answer(self, body: bytes, served: Served, used: Used) -> Priced:
        """Return the message that the completion is."""
        return to_message(
            self._completion, message_id=_message_id(served), model=served.model, echo=self._echo, usage=used.report
        )

    def begin(self, served: Served) -> None:
        """Learn the message's id and model."""
        self._stream = MessageStream(
            self._echo, message_id=_message_id(served), model=served.model, input_tokens=served.input_tokens
        )

    def take(self, event: Event, chunk: Chunk) -> bytes:
        """Return the events of one chunk.

        raises  MalformedAnswer
        """
        assert self._stream is not None
        return self._stream.take(decode_json_object(event.data))

    def ping(self) -> bytes:
        """Return the event that clients skip wherever it stands, also before message_start."""
        return PING

    def end(self, last_chunk: Chunk | None, used: Used) -> Priced:
        """Return what is left of the message, its usage and message_stop."""
        assert self._stream is not None
        return self._stream.complete(used.report)

    def fail(self, refusal: GatewayError, request_id: str, used: Used | None) -> Priced:
        """Return the refusal as an event; of an answer that has not begun there is no message."""
        if self._stream is None:
            return Priced(error_event(refusal, request_id))
        return self._stream.fail(refusal, request_id, None if used is None else used.report)


def _message_id(served: Served) -> str:
    return f"msg_{served.generation_id.hex}"
