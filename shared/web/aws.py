"""What AWS Lambda calls in the functions that do not stream."""

from typing import Any

from fastapi import FastAPI
from mangum import Mangum


class LambdaHandler:
    """An application as a Lambda handler; the adapter is made at the first call, so that importing has no effect."""

    def __init__(self, app: FastAPI) -> None:
        self._app = app
        self._adapter: Mangum | None = None

    def __call__(self, event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Answer one invocation.

        shape   event: API Gateway's proxy event; the answer: statusCode, headers, body, isBase64Encoded
        """
        if self._adapter is None:
            self._adapter = Mangum(self._app)
        return self._adapter(event, context)
