"""A provider that sends exactly the bytes a test wrote down, with pauses between: what no scripted answer covers."""

import asyncio
import contextlib
import threading

from infra.local.ports import LOOPBACK

STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\n"
START_WITHIN_S = 10.0
# What to send, and how long to wait before it.
Piece = tuple[float, bytes]


class RawProvider:
    """A server with its own thread; each model name has its own answer."""

    def __init__(self) -> None:
        self.url = ""
        self._answers: dict[bytes, tuple[Piece, ...]] = {}
        self._requests: list[bytes] = []
        self._loop = asyncio.new_event_loop()
        self._is_open = threading.Event()
        self._is_closing = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="raw-provider")

    def open(self) -> "RawProvider":
        """Start to listen on a free port."""
        self._thread.start()
        assert self._is_open.wait(START_WITHIN_S)
        return self

    def close(self) -> None:
        """Stop listening."""
        self._loop.call_soon_threadsafe(self._is_closing.set)
        self._thread.join(START_WITHIN_S)

    def answers(self, upstream_model: str, *pieces: Piece | bytes) -> None:
        """Send these pieces to whoever asks for the model."""
        self._answers[upstream_model.encode()] = tuple(
            (0.0, piece) if isinstance(piece, bytes) else piece for piece in pieces
        )

    def requests(self, upstream_model: str) -> list[bytes]:
        """Return the requests for the model, heads and bodies as they came."""
        return [request for request in list(self._requests) if upstream_model.encode() in request]

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.close()

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._answer, LOOPBACK, 0)
        self.url = f"http://{LOOPBACK}:{server.sockets[0].getsockname()[1]}"
        self._is_open.set()
        await self._is_closing.wait()
        server.close()
        answering = asyncio.all_tasks() - {asyncio.current_task()}
        for task in answering:
            task.cancel()
        await asyncio.gather(*answering, return_exceptions=True)

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:"))
            request = head + await reader.readexactly(length)
            self._requests.append(request)
            for pause_s, data in self._pieces(request):
                await asyncio.sleep(pause_s)
                writer.write(data)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()

    def _pieces(self, request: bytes) -> tuple[Piece, ...]:
        return next(pieces for model, pieces in self._answers.items() if model in request)


def chunk(text: str, finish: str | None = None) -> bytes:
    """Return one event of an answer."""
    reason = "null" if finish is None else f'"{finish}"'
    return (
        b'data: {"id":"raw","object":"chat.completion.chunk","created":1,"model":"raw","choices":[{"index":0,"delta":'
        + f'{{"content":"{text}"}},"finish_reason":{reason}}}]}}\n\n'.encode()
    )
