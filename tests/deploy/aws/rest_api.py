"""The REST API over HTTP, as a client on the internet meets it."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from aiohttp import web

from tests.deploy.aws.client_requests import TooLarge, after_gateway, read_client_request, send_stream, whole
from tests.deploy.aws.deployed import RestApi, Route
from tests.deploy.aws.functions import FunctionInstances
from tests.deploy.aws.gateway_responses import (
    FUNCTION_FAILED,
    NO_INSTANCE,
    NO_ROUTE,
    TOO_LARGE,
    TOO_LATE,
    Refusal,
    render,
)
from tests.deploy.aws.invocation import FunctionError, Invocation
from tests.deploy.aws.proxy_answers import HttpAnswer, MalformedAnswer, read_buffered, read_start
from tests.deploy.aws.proxy_events import ClientRequest, decode_parameters, rest_event
from tests.deploy.aws.routing import find_route

# source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
MAX_BODY_BYTES = 10 * 1024 * 1024
# source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_EVENT_BYTES = 6 * 1024 * 1024
NO_REQUEST_ID = "unread"


@dataclass(frozen=True, slots=True)
class RestApiFront:
    """Finds the route of a request, calls its function and passes the answer on."""

    api: RestApi
    functions: Mapping[str, FunctionInstances]

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        try:
            client_request = await read_client_request(request, MAX_BODY_BYTES)
        except TooLarge:
            return whole(render(TOO_LARGE, self.api.gateway_responses, NO_REQUEST_ID))
        found = find_route(self.api.routes, client_request.method, client_request.path)
        if found is None:
            return self._refuse(NO_ROUTE, client_request)
        route, parameters = found
        event = json.dumps(rest_event(client_request, self.api, route, decode_parameters(parameters))).encode()
        instances = self.functions[route.function]
        if len(event) > MAX_EVENT_BYTES or instances.is_full:
            return self._refuse(NO_INSTANCE if instances.is_full else TOO_LARGE, client_request)
        return await self._pass_on(request, client_request, route, instances.invoke(event))

    async def _pass_on(
        self, request: web.BaseRequest, client_request: ClientRequest, route: Route, invocation: Invocation
    ) -> web.StreamResponse:
        try:
            async with asyncio.timeout(route.limit_s):
                answer, body = await self._read(client_request, route, invocation)
        except TimeoutError:
            return self._refuse(TOO_LATE, client_request)
        except (FunctionError, MalformedAnswer):
            return self._refuse(FUNCTION_FAILED, client_request)
        answer = after_gateway(answer, client_request.request_id)
        return whole(answer) if body is None else await send_stream(request, answer, body, route.limit_s)

    async def _read(
        self, request: ClientRequest, route: Route, invocation: Invocation
    ) -> tuple[HttpAnswer, AsyncIterator[bytes] | None]:
        """Read the answer, or the start of one that is streamed."""
        if not route.is_streamed:
            return read_buffered(await invocation.payload(), takes_bytes=self._takes_bytes(request)), None
        await invocation.start()
        return await read_start(invocation.chunks())

    def _refuse(self, refusal: Refusal, request: ClientRequest) -> web.StreamResponse:
        answer = render(refusal, self.api.gateway_responses, request.request_id)
        return whole(after_gateway(answer, request.request_id))

    def _takes_bytes(self, request: ClientRequest) -> bool:
        """Tell whether the API gives this client bytes: the first type it accepts must be a binary one.

        source  https://docs.aws.amazon.com/apigateway/latest/developerguide/lambda-proxy-binary-media.html
        """
        first = request.header("accept").split(",")[0].partition(";")[0].strip()
        return "*/*" in self.api.binary_media_types or first in self.api.binary_media_types
