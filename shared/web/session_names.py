"""Where a request names the stored session that it goes on with, and its refusal where none is kept."""

from starlette.requests import Request

from shared.core.errors import InvalidRequest

FIELD = "session_id"
HEADER = "X-Session-Id"


def named_outside(request: Request) -> set[str]:
    """Return the sessions that a request names outside of its body."""
    return {*request.query_params.getlist(FIELD), *request.headers.getlist(HEADER)}


def refuse_session(request: Request) -> None:
    """Refuse a session where none is kept.

    raises  InvalidRequest
    """
    if named_outside(request):
        raise InvalidRequest(f"{FIELD}: sessions are for chat completions and responses.", param=FIELD)
