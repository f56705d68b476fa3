"""An ASGI server of a few lines: what an application is sent, and what it sends, message by message."""

import asyncio
from collections.abc import Iterable, MutableMapping
from typing import Any

from starlette.types import ASGIApp, Message, Scope


def http_scope(path: str = "/", method: str = "POST", headers: Iterable[tuple[bytes, bytes]] = ()) -> Scope:
    """Describe one request as a server does."""
    return {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "path": path,
        "raw_path": path.encode(), "query_string": b"", "headers": list(headers), "client": ("203.0.113.7", 5),
        "server": ("127.0.0.1", 80), "scheme": "http",
    }  # fmt: skip


class Connection:
    """One client: its body, when it hangs up, and whether it reads."""

    def __init__(self, *body: bytes) -> None:
        self.sent: list[MutableMapping[str, Any]] = []
        self.reads = asyncio.Event()
        self.reads.set()
        self._incoming: asyncio.Queue[Message] = asyncio.Queue()
        for index, piece in enumerate(body or (b"",)):
            is_last = index == max(0, len(body) - 1)
            self._incoming.put_nowait({"type": "http.request", "body": piece, "more_body": not is_last})

    def hang_up(self) -> None:
        """Leave."""
        self._incoming.put_nowait({"type": "http.disconnect"})

    async def call(self, app: ASGIApp, scope: Scope | None = None) -> None:
        """Send the request and gather the answer."""
        await app(scope or http_scope(), self._incoming.get, self._send)

    @property
    def status(self) -> int:
        """The answer's status."""
        return int(self.sent[0]["status"])

    @property
    def headers(self) -> dict[str, str]:
        """The answer's headers."""
        return {name.decode().lower(): value.decode() for name, value in self.sent[0]["headers"]}

    @property
    def body(self) -> bytes:
        """The answer's body so far."""
        return b"".join(message.get("body", b"") for message in self.sent[1:])

    @property
    def is_ended(self) -> bool:
        """Whether the answer's last byte was sent."""
        return bool(self.sent) and self.sent[-1].get("more_body") is False

    async def _send(self, message: Message) -> None:
        await self.reads.wait()
        self.sent.append(message)
