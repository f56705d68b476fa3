"""One call of a function, from the event to the last byte of its answer."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field


class FunctionError(Exception):
    """The function failed; the payload is what Lambda tells the caller of it."""

    def __init__(self, payload: bytes) -> None:
        super().__init__(payload.decode(errors="replace"))
        self.payload = payload

    @classmethod
    def of(cls, error_type: str, message: str) -> "FunctionError":
        """Make an error of the platform's own."""
        return cls(json.dumps({"errorType": error_type, "errorMessage": message}).encode())


@dataclass(frozen=True, slots=True)
class AnswerStart:
    """How an answer begins."""

    content_type: str
    is_streamed: bool


class _End:
    """The last piece of an answer."""


Piece = AnswerStart | FunctionError | bytes | _End


@dataclass(slots=True)
class Invocation:
    """An event on its way through a function; what comes back waits here, whether or not anybody reads it."""

    event: bytes
    timeout_s: float
    request_id: str
    # Set when the function begins to work on it: waiting for an instance does not count.
    deadline_ms: int = 0
    is_over: bool = False
    _pieces: asyncio.Queue[Piece] = field(default_factory=asyncio.Queue)

    def begin(self) -> None:
        """Start the clock."""
        self.deadline_ms = int((time.time() + self.timeout_s) * 1000)

    def put(self, piece: AnswerStart | bytes) -> None:
        """Take a part of the answer; what comes after its end is thrown away."""
        if not self.is_over:
            self._pieces.put_nowait(piece)

    def end(self) -> None:
        """Note that the answer is whole, unless it failed."""
        self._finish(_End())

    def fail(self, error: FunctionError) -> None:
        """Note that no more will come; an answer that is whole already stays so."""
        self._finish(error)

    async def start(self) -> AnswerStart:
        """Wait for the answer to begin.

        raises  FunctionError
        """
        piece = await self._pieces.get()
        if isinstance(piece, FunctionError):
            raise piece
        assert isinstance(piece, AnswerStart), piece
        return piece

    async def chunks(self) -> AsyncIterator[bytes]:
        """Give the answer as it comes, after its start.

        raises  FunctionError when it breaks off
        """
        while True:
            piece = await self._pieces.get()
            if isinstance(piece, FunctionError):
                raise piece
            if not isinstance(piece, bytes):
                return
            yield piece

    async def payload(self) -> bytes:
        """Wait for the whole answer.

        raises  FunctionError
        """
        await self.start()
        return b"".join([chunk async for chunk in self.chunks()])

    def _finish(self, piece: Piece) -> None:
        if not self.is_over:
            self.is_over = True
            self._pieces.put_nowait(piece)
