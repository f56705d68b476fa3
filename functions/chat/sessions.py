"""Which stored session a request goes on with: its body, its query or its header names it."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from functions.chat.resources import resources_of
from shared.core.caller import Caller
from shared.core.errors import InvalidRequest
from shared.core.ids import ChatSessionId, parse_chat_session_id
from shared.flows.chat_request import ChatRequest
from shared.flows.store_turn import SessionNamed, continue_session
from shared.history.chat_refusals import SessionNotFound
from shared.providers.responses.dialect import ResponsesDialect
from shared.web.context import context_of

FIELD = "session_id"
HEADER = "X-Session-Id"


def read_session_id(request: Request, body: Mapping[str, Any]) -> ChatSessionId | None:
    """Return the session that a request names, None where it names none.

    raises  InvalidRequest for two that differ; SessionNotFound for what names no session
    """
    named = _named_outside(request)
    if body.get(FIELD) is not None:
        named.add(body[FIELD] if isinstance(body[FIELD], str) else "")
    if not named:
        return None
    if len(named) > 1:
        raise InvalidRequest(f"{FIELD}: the body, the query and {HEADER} name different sessions.", param=FIELD)
    session_id = parse_chat_session_id(named.pop())
    if session_id is None:
        raise SessionNotFound(FIELD)
    return session_id


def refuse_two_pasts(session_id: ChatSessionId | None, previous_response_id: str | None) -> None:
    """Refuse a request that goes on with a session and with a response.

    raises  InvalidRequest
    """
    if session_id is not None and previous_response_id is not None:
        raise InvalidRequest(
            "previous_response_id: a request goes on with a response or with a session, not with both.",
            param="previous_response_id",
        )


async def go_on(
    request: Request,
    caller: Caller,
    session_id: ChatSessionId | None,
    chat: ChatRequest,
    listener: ResponsesDialect | None = None,
) -> tuple[Caller, ChatRequest]:
    """Return the request as it goes on with its session, and its caller, who is counted then.

    shape   both as they are where no session is named

    raises  as continue_session
    """
    if session_id is None:
        return caller, chat
    resources = resources_of(request)
    named = SessionNamed(history=resources.history, session_id=session_id, listener=listener)
    continued = await continue_session(resources.desk, caller, named, chat, context_of(request.scope).answer_headers)
    return caller.counted(), continued


def refuse_session(request: Request) -> None:
    """Refuse a session where none is kept.

    raises  InvalidRequest
    """
    if _named_outside(request):
        raise InvalidRequest(f"{FIELD}: sessions are for chat completions and responses.", param=FIELD)


def _named_outside(request: Request) -> set[str]:
    return {*request.query_params.getlist(FIELD), *request.headers.getlist(HEADER)}
