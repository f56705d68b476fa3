"""What AWS Lambda calls in the functions that do not stream."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

from fastapi import FastAPI
from mangum import Mangum

from shared.core.ids import new_request_id
from shared.core.log import request_id_in_context

# What a schedule asks for: {"job": "settlement_sweep"}.
JobRunner = Callable[[FastAPI, str], Awaitable[dict[str, Any]]]


class LambdaHandler:
    """An application as a Lambda handler: started at the first call, so that importing has no effect, and then kept.

    Mangum alone would start and stop the application around every request, and with it the connections to the stores.
    """

    def __init__(self, app: FastAPI, *, run_job: JobRunner | None = None) -> None:
        self._app = app
        self._run_job = run_job
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lifespan: AbstractAsyncContextManager[Any] | None = None
        self._adapter: Mangum | None = None

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one invocation.

        shape   event: API Gateway's proxy event, or a schedule's {"job": name}; the answer: statusCode, headers, body,
                isBase64Encoded, or what the job returns
        raises  SettingsError, ParametersUnavailable when the function cannot start; whatever a job raises, so that
                Lambda repeats it and then tells the queue of failures
        """
        loop, adapter = self._start()
        if self._run_job is not None and "job" in event:
            return loop.run_until_complete(self._run_named(self._run_job, event["job"]))
        return adapter(event, context)

    async def _run_named(self, run_job: JobRunner, name: str) -> dict[str, Any]:
        # What a run logs is found by an id, as what a request logs is; the set is this task's alone.
        request_id_in_context.set(new_request_id())
        return await run_job(self._app, name)

    def close(self) -> None:
        """Stop the application; Lambda itself ends an instance without a word."""
        if self._loop is None:
            return
        if self._lifespan is not None:
            self._loop.run_until_complete(self._lifespan.__aexit__(None, None, None))
        self._loop.close()
        asyncio.set_event_loop(None)
        self._loop = self._lifespan = self._adapter = None

    def _start(self) -> tuple[asyncio.AbstractEventLoop, Mangum]:
        """Start the application if it is not running; one that failed to start is tried again at the next call."""
        if self._loop is None:
            self._loop = asyncio.new_event_loop()
            # The adapter runs each request on the thread's current loop.
            asyncio.set_event_loop(self._loop)
        if self._adapter is None:
            lifespan = self._app.router.lifespan_context(self._app)
            self._loop.run_until_complete(lifespan.__aenter__())
            self._lifespan, self._adapter = lifespan, Mangum(self._app, lifespan="off")
        return self._loop, self._adapter
