"""What belongs to one HTTP request: its id, and the headers that its answer will carry whatever it is."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.types import Scope

from shared.core.errors import GatewayError, envelope
from shared.core.ids import RequestId

_STATE_NAME = "gateway_context"


class PathDialect(msgspec.Struct, frozen=True, kw_only=True):
    """How the clients of a path, and of those below it, are told of refusals, whatever else is known of a request.

    error_body: what a refusal says; request_id_header: where its clients look for the id, beside X-Request-Id
    """

    path: str
    error_body: Callable[[GatewayError, RequestId], Mapping[str, Any]]
    request_id_header: str | None = None

    def speaks_at(self, path: str) -> bool:
        """Whether a request to this path is of such a client."""
        return path == self.path or path.startswith(f"{self.path}/")


@dataclass(slots=True)
class AnswerContext:
    """The request's id, when it came (monotonic seconds), and the headers gathered for its answer on the way.

    dialect: None where refusals are told as OpenAI does
    """

    request_id: RequestId
    received_s: float = field(default_factory=time.monotonic)
    answer_headers: dict[str, str] = field(default_factory=dict)
    dialect: PathDialect | None = None

    def error_body(self, error: GatewayError) -> Mapping[str, Any]:
        """Return a refusal as this request's client reads it."""
        if self.dialect is None:
            return envelope(error, self.request_id)
        return self.dialect.error_body(error, self.request_id)


def put_context(scope: Scope, context: AnswerContext) -> None:
    """Attach the context to its request."""
    scope.setdefault("state", {})[_STATE_NAME] = context


def context_of(scope: Scope) -> AnswerContext:
    """Return the context that the outermost middleware attached."""
    context = scope["state"][_STATE_NAME]
    assert isinstance(context, AnswerContext)
    return context
