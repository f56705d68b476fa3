"""HTTP on the side of the client: reading requests as they came, and answering them."""

import asyncio
from collections.abc import AsyncIterator

from aiohttp import web
from multidict import CIMultiDict

from tests.deploy.aws.invocation import FunctionError
from tests.deploy.aws.proxy_answers import HttpAnswer
from tests.deploy.aws.proxy_events import ClientRequest

# Written by the server that sends.
NOT_SENT = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})
# Kept from the client under another name.
# source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
REMAPPED = frozenset({"connection", "content-length", "date", "server", "www-authenticate"})


class TooLarge(Exception):
    """The body is larger than the service takes."""


async def read_client_request(request: web.BaseRequest, max_body_bytes: int) -> ClientRequest:
    """Read a request, its path and query still encoded.

    raises  TooLarge
    """
    body = b""
    async for chunk in request.content.iter_any():
        body += chunk
        if len(body) > max_body_bytes:
            raise TooLarge
    path, _, query = request.raw_path.partition("?")
    return ClientRequest(
        method=request.method,
        path="/" + path.lstrip("/"),
        query=query,
        headers=tuple(request.headers.items()),
        body=body,
        peer=request.remote or "",
    )


def after_gateway(answer: HttpAnswer, request_id: str) -> HttpAnswer:
    """Give a function's answer the headers with which AWS lets it out."""
    headers = [
        (f"x-amzn-Remapped-{name}" if name.lower() in REMAPPED else name, value) for name, value in answer.headers
    ]
    return HttpAnswer(answer.status, (*headers, ("x-amzn-RequestId", request_id)), answer.body)


def whole(answer: HttpAnswer) -> web.StreamResponse:
    """Return an answer that came whole."""
    return web.Response(status=answer.status, headers=_headers(answer), body=answer.body)


async def send_stream(
    request: web.BaseRequest, answer: HttpAnswer, body: AsyncIterator[bytes], limit_s: float
) -> web.StreamResponse:
    """Send an answer as it comes; where it breaks off, the connection does too.

    A client that hung up is not told to the function: it works on, and what it says is thrown away.
    """
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    try:
        async with asyncio.timeout(limit_s):
            await response.prepare(request)
            async for chunk in body:
                await response.write(chunk)
            await response.write_eof()
    except (FunctionError, TimeoutError):
        if request.transport is not None:
            request.transport.abort()
    except ConnectionResetError:
        pass
    return response


def _headers(answer: HttpAnswer) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in answer.headers if name.lower() not in NOT_SENT)
