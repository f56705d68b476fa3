"""A Responses client's answers, as the engine asks for them."""

from collections.abc import Mapping
from typing import Any

from shared.core.errors import GatewayError
from shared.providers.decoded import decode_json_object
from shared.providers.dialect import Served, Used
from shared.providers.openai_chat import PING, Chunk
from shared.providers.priced import Priced
from shared.providers.responses.answer import to_response
from shared.providers.responses.output import Opening
from shared.providers.responses.stream import ResponseStream
from shared.providers.sse import Event
from shared.providers.usage import UsageReport


class ResponsesDialect:
    """OpenAI's Responses, as the Open Responses specification has them.

    model, asked_at_s: what a failed response says where no provider began one
    response, usage: what may be stored when the answer has ended; None where it broke
    """

    def __init__(self, echo: Mapping[str, Any], *, model: str, asked_at_s: int) -> None:
        self.response: dict[str, Any] | None = None
        self.usage: UsageReport | None = None
        self._echo = echo
        self._model = model
        self._asked_at_s = asked_at_s
        self._completion: dict[str, Any] = {}
        self._stream: ResponseStream | None = None

    def read(self, body: bytes) -> None:
        """Decode a completion.

        raises  MalformedAnswer
        """
        self._completion = decode_json_object(body)

    def answer(self, body: bytes, served: Served, used: Used) -> Priced:
        """Return the response that the completion is."""
        priced, self.response = to_response(
            self._completion, _opening(served), _echoed(self._echo, served), used.report, now=used.ended_at_s
        )
        self.usage = used.report
        return priced

    def begin(self, served: Served) -> None:
        """Learn the response's id and model."""
        self._stream = ResponseStream(_opening(served), _echoed(self._echo, served))

    def take(self, event: Event, chunk: Chunk) -> bytes:
        """Return the events of one chunk.

        raises  MalformedAnswer
        """
        assert self._stream is not None
        return self._stream.take(decode_json_object(event.data))

    def ping(self) -> bytes:
        """Return a comment, to stand in front of the next event."""
        return PING

    def end(self, last_chunk: Chunk | None, used: Used) -> Priced:
        """Return what is left of the response, and [DONE]."""
        assert self._stream is not None
        priced = self._stream.complete(used.report, now=used.ended_at_s)
        self.response, self.usage = self._stream.response, used.report
        return priced

    def fail(self, refusal: GatewayError, request_id: str, used: Used | None) -> Priced:
        """Return the refusal as an event, and the response as far as it came."""
        if self._stream is None:
            # Nothing of it is stored, so its id need only be its own.
            response_id = f"resp_{request_id.removeprefix('req_')}"
            opening = Opening(response_id=response_id, created_at=self._asked_at_s, model=self._model)
            self._stream = ResponseStream(opening, self._echo)
        return self._stream.fail(refusal, None if used is None else used.report, request_id=request_id)


def _echoed(echo: Mapping[str, Any], served: Served) -> Mapping[str, Any]:
    """Return what the answer repeats; it does not say that it is stored where nothing is."""
    return echo if served.is_kept else {**echo, "store": False}


def _opening(served: Served) -> Opening:
    return Opening(response_id=f"resp_{served.generation_id.hex}", created_at=served.began_at_s, model=served.model)
