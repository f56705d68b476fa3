"""A function's own URL over HTTP."""

import json
from dataclasses import dataclass

from aiohttp import web

from tests.deploy.aws.account import REGION
from tests.deploy.aws.client_requests import TooLarge, after_gateway, read_client_request, send_stream, whole
from tests.deploy.aws.functions import FunctionInstances
from tests.deploy.aws.invocation import FunctionError
from tests.deploy.aws.proxy_answers import HttpAnswer, MalformedAnswer, read_buffered, read_start
from tests.deploy.aws.proxy_events import function_url_event
from tests.deploy.aws.rest_api import MAX_EVENT_BYTES

HOST = f"function.lambda-url.{REGION}.on.aws"
FAILED = HttpAnswer(502, (("Content-Type", "application/json"),), b'{"Message":"Internal Server Error"}')
TOO_LARGE = HttpAnswer(413, (("Content-Type", "application/json"),), b'{"Message":"Request Too Long"}')


@dataclass(frozen=True, slots=True)
class FunctionUrlFront:
    """Passes every request to one function."""

    instances: FunctionInstances
    is_streamed: bool

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request; the URL waits as long as the function may run."""
        try:
            client_request = await read_client_request(request, MAX_EVENT_BYTES)
        except TooLarge:
            return whole(TOO_LARGE)
        invocation = self.instances.invoke(json.dumps(function_url_event(client_request, HOST)).encode())
        try:
            if not self.is_streamed:
                answer = read_buffered(await invocation.payload(), takes_bytes=True)
                return whole(after_gateway(answer, client_request.request_id))
            await invocation.start()
            answer, body = await read_start(invocation.chunks())
        except (FunctionError, MalformedAnswer):
            return whole(FAILED)
        answer = after_gateway(answer, client_request.request_id)
        return await send_stream(request, answer, body, invocation.timeout_s)
