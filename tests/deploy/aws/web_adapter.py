"""Stands in for the Lambda Web Adapter: turns events into requests to the function's own server, and back.

Its binary is no package that could be had here. What is kept is what its documentation and source say of it.

source  https://github.com/aws/aws-lambda-web-adapter (README, src/lib.rs)
"""

import asyncio
import base64
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from infra.local.ports import LOOPBACK
from tests.deploy.aws.invocation import FunctionError
from tests.deploy.aws.runtime_api import VERSION

READINESS_POLL_S = 0.01
FIRST_UNREADY_STATUS = 500
# As long as the adapter keeps an idle connection to the server.
KEEP_ALIVE_S = 4
STREAM_SEPARATOR = bytes(8)
STREAMED_CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
# Hop by hop, or written anew by the side that sends.
NOT_PASSED = frozenset({"connection", "content-length", "keep-alive", "transfer-encoding"})


@dataclass(frozen=True, slots=True)
class WebAdapter:
    """The adapter of one instance; settings are the function's variables."""

    settings: Mapping[str, str]
    runtime_api: str
    port: int
    function: Mapping[str, Any]

    async def run(self) -> None:
        """Wait until the server is ready, then pass events on until cancelled."""
        timeout = aiohttp.ClientTimeout(total=None)
        server_connections = aiohttp.TCPConnector(keepalive_timeout=KEEP_ALIVE_S)
        async with (
            aiohttp.ClientSession(timeout=timeout) as runtime,
            aiohttp.ClientSession(timeout=timeout, connector=server_connections, auto_decompress=False) as server,
        ):
            await self._wait_for_server(server)
            while True:
                await self._pass_one_on(runtime, server)

    async def _wait_for_server(self, server: aiohttp.ClientSession) -> None:
        url = self._server_url(self.settings.get("AWS_LWA_READINESS_CHECK_PATH", "/"))
        while True:
            try:
                async with server.get(url) as answer:
                    if answer.status < FIRST_UNREADY_STATUS:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(READINESS_POLL_S)

    async def _pass_one_on(self, runtime: aiohttp.ClientSession, server: aiohttp.ClientSession) -> None:
        async with runtime.get(f"http://{self.runtime_api}{VERSION}/invocation/next") as answer:
            event = await answer.json()
            request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
            request = read_event(event, {**self.function, "request_id": request_id})
        invocation = f"http://{self.runtime_api}{VERSION}/invocation/{request_id}"
        try:
            async with self._send(server, request) as response:
                await self._answer(runtime, f"{invocation}/response", response)
        except aiohttp.ClientError as error:
            failure = FunctionError.of("AdapterError", f"the server did not answer: {error!r}")
            await runtime.post(f"{invocation}/error", data=failure.payload)

    def _send(self, server: aiohttp.ClientSession, request: "HttpRequest") -> Any:
        headers = CIMultiDict(request.headers)
        url = self._server_url(request.path_and_query)
        skipped = ("User-Agent", "Accept", "Accept-Encoding", "Content-Type")
        return server.request(
            request.method,
            url,
            headers=headers,
            data=io.BytesIO(request.body) if request.body else None,
            skip_auto_headers=skipped,
            allow_redirects=False,
        )

    async def _answer(self, runtime: aiohttp.ClientSession, url: str, response: aiohttp.ClientResponse) -> None:
        if self.settings.get("AWS_LWA_INVOKE_MODE", "buffered").lower() == "response_stream":
            headers = {
                "Content-Type": STREAMED_CONTENT_TYPE,
                "Lambda-Runtime-Function-Response-Mode": "streaming",
            }
            await runtime.post(url, data=_streamed(response), headers=headers)
        else:
            body = await response.read()
            encoded = {"body": base64.b64encode(body).decode(), "isBase64Encoded": True}
            await runtime.post(url, json={**_start_of(response), **encoded})

    def _server_url(self, path_and_query: str) -> URL:
        return URL(f"http://{LOOPBACK}:{self.port}{path_and_query}", encoded=True)


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """A request as the function's server gets it."""

    method: str
    path_and_query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes = field(repr=False)


def read_event(event: Mapping[str, Any], lambda_context: Mapping[str, Any]) -> HttpRequest:
    """Turn an event into the request it stands for; one that is no request is posted whole.

    The two context headers are the adapter's: what a client sent under their names is gone.
    """
    context = event.get("requestContext", {})
    if "http" in context:
        cookies = {"cookie": "; ".join(event["cookies"])} if event.get("cookies") else {}
        headers = [*event["headers"].items(), *cookies.items()]
        method, path, query = context["http"]["method"], event["rawPath"], event.get("rawQueryString", "")
    elif "identity" in context:
        headers = [(name, value) for name, values in event["multiValueHeaders"].items() for value in values]
        query = urlencode(event.get("multiValueQueryStringParameters") or {}, doseq=True)
        method, path = event["httpMethod"], event["path"]
    else:
        return HttpRequest("POST", "/events", (("content-type", "application/json"),), json.dumps(event).encode())
    body = event.get("body") or ""
    own_headers = {
        "x-amzn-request-context": json.dumps(context),
        "x-amzn-lambda-context": json.dumps(dict(lambda_context)),
    }
    passed = [(name.lower(), value) for name, value in headers if name.lower() not in {*own_headers, *NOT_PASSED}]
    return HttpRequest(
        method=method,
        path_and_query=f"{path}?{query}" if query else path,
        headers=(*passed, *own_headers.items()),
        body=base64.b64decode(body) if event.get("isBase64Encoded") else body.encode(),
    )


async def _streamed(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    yield json.dumps(_start_of(response)).encode() + STREAM_SEPARATOR
    async for chunk in response.content.iter_any():
        yield chunk


def _start_of(response: aiohttp.ClientResponse) -> dict[str, Any]:
    headers: dict[str, str | list[str]] = {}
    for name in {name.lower() for name in response.headers} - {"set-cookie", "transfer-encoding"}:
        values = response.headers.getall(name)
        headers[name] = values[0] if len(values) == 1 else values
    return {"statusCode": response.status, "headers": headers, "cookies": response.headers.getall("set-cookie", [])}
