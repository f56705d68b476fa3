"""The Lambda service's own API: calling a function and waiting, or leaving an event with it.

source  https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html
        https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

import asyncio
import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from tests.deploy.aws.deployed import DeployedFunction
from tests.deploy.aws.functions import FunctionInstances
from tests.deploy.aws.invocation import FunctionError, Invocation

# Lambda waits a minute, then two.
RETRY_AFTER_S = 0.2


class LambdaApi:
    """Answers Invoke; events run on after the answer, each to its end."""

    def __init__(self, functions: Mapping[str, FunctionInstances]) -> None:
        self._functions = functions
        self._events: set[asyncio.Task[None]] = set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one call of the API."""
        match request.method, request.path.split("/"):
            case "POST", ["", "2015-03-31", "functions", name, "invocations"] if name in self._functions:
                event = await request.read()
                if request.headers.get("X-Amz-Invocation-Type") == "Event":
                    self._take_event(self._functions[name], event)
                    return web.Response(status=202)
                return await _call(self._functions[name].invoke(event))
        error = {"Type": "User", "Message": f"Function not found: {request.path}"}
        return web.json_response(error, status=404, headers={"X-Amzn-ErrorType": "ResourceNotFoundException"})

    async def close(self) -> None:
        """Stop working on events."""
        for task in self._events:
            task.cancel()
        await asyncio.gather(*self._events, return_exceptions=True)

    def _take_event(self, instances: FunctionInstances, event: bytes) -> None:
        task = asyncio.create_task(_handle_event(instances, event))
        self._events.add(task)
        task.add_done_callback(self._events.discard)


async def _call(invocation: Invocation) -> web.StreamResponse:
    try:
        return web.Response(body=await invocation.payload(), content_type="application/json")
    except FunctionError as error:
        headers = {"X-Amz-Function-Error": "Unhandled"}
        return web.Response(body=error.payload, content_type="application/json", headers=headers)


async def _handle_event(instances: FunctionInstances, event: bytes) -> None:
    """Try as often as the function's configuration says; when all failed, tell the queue."""
    function = instances.function
    first = instances.invoke(event)
    invocation, attempts = first, 1
    while True:
        try:
            await invocation.payload()
        except FunctionError as error:
            if attempts > function.retries:
                if function.failures_queue_arn is not None:
                    record = _record(function, first, attempts, error)
                    await asyncio.to_thread(_send, instances, function.failures_queue_arn, record)
                return
        else:
            return
        await asyncio.sleep(RETRY_AFTER_S)
        invocation = instances.invoke(event, first.request_id)
        attempts += 1


def _record(function: DeployedFunction, first: Invocation, attempts: int, error: FunctionError) -> dict[str, Any]:
    """Describe an event that failed.

    source  https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    return {
        "version": "1.0",
        "timestamp": datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "requestContext": {
            "requestId": first.request_id,
            "functionArn": f"{function.arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": attempts,
        },
        "requestPayload": json.loads(first.event),
        "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
        "responsePayload": json.loads(error.payload),
    }


def _send(instances: FunctionInstances, queue_arn: str, record: Mapping[str, Any]) -> None:
    """Send the record in the function's own role, which must be allowed to."""
    account_id, name = queue_arn.split(":")[-2:]
    sqs = instances.account.client("sqs")
    sqs.send_message(QueueUrl=f"{instances.account.endpoint}/{account_id}/{name}", MessageBody=json.dumps(record))
