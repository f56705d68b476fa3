"""A whole answer that leaves piece by piece: Vercel sends no body above 4.5 MB that comes at once, but any stream."""

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

PIECE_BYTES = 256 * 1024


class PiecewiseJson(Response):
    """JSON that is ready; its length is not told, so that nobody on the way waits for all of it.

    source  https://vercel.com/docs/functions/limitations#request-body-size
    """

    media_type = "application/json"

    def __init__(self, content: bytes) -> None:
        super().__init__()
        del self.headers["content-length"]
        self._content = memoryview(content)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the headers, then the pieces, waiting while the client is slow."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        for start in range(0, len(self._content), PIECE_BYTES):
            piece = bytes(self._content[start : start + PIECE_BYTES])
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
