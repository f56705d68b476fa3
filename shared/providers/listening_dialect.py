"""A client's dialect with a listener beside it, which puts the answer together for whoever stores it."""

from shared.core.errors import GatewayError
from shared.providers.dialect import Dialect, Served, Used
from shared.providers.openai_chat import Chunk
from shared.providers.priced import Priced
from shared.providers.raw_json import MalformedAnswer
from shared.providers.responses.dialect import ResponsesDialect
from shared.providers.sse import Event


class ListeningDialect:
    """Answers as the client's dialect does; what the listener cannot read is answered all the same, and not stored."""

    def __init__(self, client: Dialect, listener: ResponsesDialect) -> None:
        self._client = client
        self._listener = listener
        self._is_heard = True

    def read(self, body: bytes) -> None:
        """Read a completion twice."""
        self._client.read(body)
        try:
            self._listener.read(body)
        except MalformedAnswer:
            self._is_heard = False

    def answer(self, body: bytes, served: Served, used: Used) -> Priced:
        """Return the client's answer."""
        if self._is_heard:
            self._listener.answer(body, served, used)
        return self._client.answer(body, served, used)

    def begin(self, served: Served) -> None:
        """Tell both who serves."""
        self._listener.begin(served)
        self._client.begin(served)

    def take(self, event: Event, chunk: Chunk) -> bytes:
        """Return what the client is passed of one chunk."""
        passed = self._client.take(event, chunk)
        if self._is_heard:
            try:
                self._listener.take(event, chunk)
            except MalformedAnswer:
                self._is_heard = False
        return passed

    def ping(self) -> bytes:
        """Return the client's."""
        return self._client.ping()

    def end(self, last_chunk: Chunk | None, used: Used) -> Priced:
        """Return the client's last bytes."""
        if self._is_heard:
            self._listener.end(last_chunk, used)
        return self._client.end(last_chunk, used)

    def fail(self, refusal: GatewayError, request_id: str, used: Used | None) -> Priced:
        """Return the client's last bytes; what broke is not stored."""
        return self._client.fail(refusal, request_id, used)
