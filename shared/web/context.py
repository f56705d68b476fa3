"""What belongs to one HTTP request: its id, and the headers that its answer will carry whatever it is."""

import time
from dataclasses import dataclass, field

from starlette.types import Scope

from shared.core.ids import RequestId

_STATE_NAME = "gateway_context"


@dataclass(slots=True)
class AnswerContext:
    """The request's id, when it came (monotonic seconds), and the headers gathered for its answer on the way."""

    request_id: RequestId
    received_s: float = field(default_factory=time.monotonic)
    answer_headers: dict[str, str] = field(default_factory=dict)


def put_context(scope: Scope, context: AnswerContext) -> None:
    """Attach the context to its request."""
    scope.setdefault("state", {})[_STATE_NAME] = context


def context_of(scope: Scope) -> AnswerContext:
    """Return the context that the outermost middleware attached."""
    context = scope["state"][_STATE_NAME]
    assert isinstance(context, AnswerContext)
    return context
