"""The gateway as the stack runs it, with every stream that leaves it written down beside its log.

A line per write, in the order in which they are made: which stream, its path, the bytes, and whether it ended.
"""

import json
import os
import uuid
from pathlib import Path

from infra.server.__main__ import main
from infra.server.gateway import Application, Message, Receive, Send, load_gateway

FILE_VARIABLE = "STREAMS_FILE"
EVENT_STREAM = b"text/event-stream"


class StreamRecorder:
    """An ASGI application before another: what is a stream of events is written down, then sent."""

    def __init__(self, application: Application, path: Path) -> None:
        self._application = application
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer as the application does."""
        if scope["type"] != "http":
            await self._application(scope, receive, send)
            return
        stream: str | None = None

        async def record(message: Message) -> None:
            nonlocal stream
            if message["type"] == "http.response.start" and _is_event_stream(message):
                stream = uuid.uuid4().hex
            elif message["type"] == "http.response.body" and stream is not None:
                self._write(stream, scope["path"], message)
            await send(message)

        await self._application(scope, receive, record)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)

    def _write(self, stream: str, path: str, message: Message) -> None:
        line = {
            "stream": stream,
            "path": path,
            "data": message.get("body", b"").decode("latin-1"),
            "is_last": not message.get("more_body", False),
        }
        os.write(self._file, json.dumps(line).encode() + b"\n")


def _is_event_stream(message: Message) -> bool:
    headers = dict(message["headers"])
    return bool(headers.get(b"content-type", b"").startswith(EVENT_STREAM))


if __name__ == "__main__":
    main(lambda: StreamRecorder(load_gateway(), Path(os.environ[FILE_VARIABLE])))
