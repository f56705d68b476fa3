"""What belongs to one HTTP request: its id, and the headers that its answer will carry whatever it is."""

from dataclasses import dataclass, field

from starlette.types import Scope

from shared.core.ids import RequestId

_STATE_NAME = "gateway_context"


@dataclass(slots=True)
class AnswerContext:
    """The request's id and the headers gathered for its answer on the way."""

    request_id: RequestId
    answer_headers: dict[str, str] = field(default_factory=dict)


def put_context(scope: Scope, context: AnswerContext) -> None:
    """Attach the context to its request."""
    scope.setdefault("state", {})[_STATE_NAME] = context


def context_of(scope: Scope) -> AnswerContext:
    """Return the context that the outermost middleware attached."""
    context = scope["state"][_STATE_NAME]
    assert isinstance(context, AnswerContext)
    return context
