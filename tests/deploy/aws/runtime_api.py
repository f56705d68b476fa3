"""The Runtime API of one instance: where its runtime asks for the next event and leaves the answer.

source  https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

import asyncio
from contextlib import AbstractAsyncContextManager

from aiohttp import web

from tests.deploy.aws.http_server import served
from tests.deploy.aws.invocation import AnswerStart, FunctionError, Invocation

VERSION = "/2018-06-01/runtime"
# source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
MAX_ANSWER_BYTES = 6 * 1024 * 1024
ACCEPTED = web.HTTPAccepted.status_code


class RuntimeApi:
    """What an instance sees of Lambda; it handles one event at a time."""

    def __init__(self, function_arn: str) -> None:
        self._function_arn = function_arn
        self._next: asyncio.Queue[Invocation] = asyncio.Queue()
        self._current: Invocation | None = None
        # Set while the runtime waits for an event: it is ready, and done with the one before.
        self.is_waiting = asyncio.Event()
        # What the runtime says of itself when it cannot start.
        self.init_error: FunctionError | None = None

    def serve(self) -> AbstractAsyncContextManager[str]:
        """Serve within the block; gives the address as AWS_LAMBDA_RUNTIME_API holds it."""
        return served(self._answer)

    def hand_out(self, invocation: Invocation) -> None:
        """Give the waiting runtime its next event."""
        assert self.is_waiting.is_set(), "an instance takes one event at a time"
        self.is_waiting.clear()
        self._next.put_nowait(invocation)

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        match request.method, request.path.removeprefix(VERSION).split("/")[1:]:
            case "GET", ["invocation", "next"]:
                return await self._hand_out_next()
            case "POST", ["invocation", request_id, "response"]:
                return await self._take_answer(request, request_id)
            case "POST", ["invocation", request_id, "error"]:
                self._of(request_id).fail(FunctionError(await request.read()))
                return web.json_response({"status": "OK"}, status=ACCEPTED)
            case "POST", ["init", "error"]:
                self.init_error = FunctionError(await request.read())
                return web.json_response({"status": "OK"}, status=ACCEPTED)
        return web.json_response({"errorType": "NotFound", "errorMessage": request.path}, status=404)

    async def _hand_out_next(self) -> web.StreamResponse:
        self.is_waiting.set()
        self._current = invocation = await self._next.get()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
            "Lambda-Runtime-Invoked-Function-Arn": self._function_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{invocation.deadline_ms // 1000:08x}-{invocation.request_id[:8]:0>24}",
        }
        return web.Response(body=invocation.event, headers=headers, content_type="application/json")

    async def _take_answer(self, request: web.BaseRequest, request_id: str) -> web.StreamResponse:
        invocation = self._of(request_id)
        is_streamed = request.headers.get("Lambda-Runtime-Function-Response-Mode", "").lower() == "streaming"
        invocation.put(AnswerStart(request.headers.get("Content-Type", ""), is_streamed))
        size = 0
        try:
            async for chunk in request.content.iter_any():
                size += len(chunk)
                if size > MAX_ANSWER_BYTES and not is_streamed:
                    invocation.fail(FunctionError.of("Function.ResponseSizeTooLarge", f"over {MAX_ANSWER_BYTES} bytes"))
                invocation.put(chunk)
        except OSError as error:
            invocation.fail(FunctionError.of("Runtime.TruncatedResponse", str(error)))
        invocation.end()
        return web.json_response({"status": "OK"}, status=ACCEPTED)

    def _of(self, request_id: str) -> Invocation:
        if self._current is None or self._current.request_id != request_id:
            raise web.HTTPBadRequest(text=f"{request_id} is not under way")
        return self._current
