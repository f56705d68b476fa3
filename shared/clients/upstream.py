"""Calls to model providers: a POST whose answer is read piece by piece, a GET of a record; every wait with a limit."""

import asyncio
from collections.abc import Mapping
from typing import Protocol

import aiohttp

CONNECT_TIMEOUT_S = 10.0
# The largest answer that is kept whole: a non-stream completion, or an error's text.
MAX_ANSWER_BYTES = 32 * 1024 * 1024
# A provider's record of an answer is about a kilobyte.
MAX_RECORD_BYTES = 1024 * 1024


class UpstreamUnreachable(Exception):
    """No connection was made, so the provider has seen nothing of the request."""


class UpstreamTimeout(Exception):
    """The provider did not answer, or fell silent, for as long as it was given."""


class UpstreamCut(Exception):
    """The provider closed the connection before its answer was complete."""


class UpstreamTooLarge(UpstreamCut):
    """We stopped reading an answer that is larger than we read."""


class UpstreamAnswer(Protocol):
    """A provider's answer whose headers have arrived and whose body has not been read."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    @property
    def headers(self) -> Mapping[str, str]:
        """The HTTP headers."""
        ...

    async def read_some(self, timeout_s: float) -> bytes:
        """Return the bytes that are there, b"" at the end.

        raises  UpstreamTimeout after timeout_s of silence, and reading may go on; UpstreamCut
        """
        ...

    async def read_all(self, timeout_s: float, *, limit_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        """Return the whole body.

        raises  UpstreamTimeout; UpstreamCut; UpstreamTooLarge
        """
        ...

    def close(self) -> None:
        """Give the connection back, or break it when the body was not read to its end."""
        ...


class Upstream:
    """Providers reached through the function's session, which the caller closes."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session

    async def post(self, url: str, headers: Mapping[str, str], body: bytes, *, timeout_s: float) -> UpstreamAnswer:
        """Send a request and return its answer as soon as the headers are there.

        raises  UpstreamUnreachable, the one case in which the provider has surely not seen the request;
                UpstreamTimeout; UpstreamCut
        """
        try:
            async with asyncio.timeout(timeout_s):
                response = await self._session.post(
                    url,
                    data=body,
                    headers={**headers, "Content-Type": "application/json", "Accept-Encoding": "identity"},
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                )
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise UpstreamUnreachable(type(error).__name__) from error
        except TimeoutError as error:
            raise UpstreamTimeout(f"no headers within {timeout_s} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamCut(type(error).__name__) from error
        return _HttpAnswer(response)

    async def get(
        self, url: str, headers: Mapping[str, str], *, timeout_s: float, limit_bytes: int = MAX_RECORD_BYTES
    ) -> tuple[int, bytes]:
        """Fetch a record, a small one unless told; return the status and the whole body.

        raises  UpstreamUnreachable; UpstreamTimeout; UpstreamCut; UpstreamTooLarge; a retry is safe
        """
        try:
            async with (
                asyncio.timeout(timeout_s),
                self._session.get(
                    url,
                    headers={**headers, "Accept-Encoding": "identity"},
                    allow_redirects=False,
                    timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_TIMEOUT_S),
                ) as response,
            ):
                return response.status, await _read_whole(response, limit_bytes)
        except (aiohttp.ConnectionTimeoutError, aiohttp.ClientConnectorError) as error:
            raise UpstreamUnreachable(type(error).__name__) from error
        except TimeoutError as error:
            raise UpstreamTimeout(f"not complete within {timeout_s} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamCut(type(error).__name__) from error


class _HttpAnswer:
    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers

    async def read_some(self, timeout_s: float) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                return await self._response.content.readany()
        except TimeoutError as error:
            raise UpstreamTimeout(f"silent for {timeout_s} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamCut(type(error).__name__) from error

    async def read_all(self, timeout_s: float, *, limit_bytes: int = MAX_ANSWER_BYTES) -> bytes:
        try:
            async with asyncio.timeout(timeout_s):
                return await _read_whole(self._response, limit_bytes)
        except TimeoutError as error:
            raise UpstreamTimeout(f"not complete within {timeout_s} s") from error
        except (aiohttp.ClientError, OSError) as error:
            raise UpstreamCut(type(error).__name__) from error

    def close(self) -> None:
        if self._response.content.at_eof():
            self._response.release()
        else:
            self._response.close()


async def _read_whole(response: aiohttp.ClientResponse, limit_bytes: int) -> bytes:
    pieces: list[bytes] = []
    size = 0
    while piece := await response.content.readany():
        pieces.append(piece)
        size += len(piece)
        if size > limit_bytes:
            raise UpstreamTooLarge(f"an answer of more than {limit_bytes} bytes")
    return b"".join(pieces)
