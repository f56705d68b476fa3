"""Which stored session a request goes on with: its body, its query or its header names it."""

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from functions.chat.answering import answer_chat, answer_kept
from functions.chat.resources import resources_of
from shared.core.caller import Caller
from shared.core.errors import InvalidRequest
from shared.core.ids import ChatSessionId, parse_chat_session_id
from shared.flows.answer_again import find_answer
from shared.flows.chat_request import ChatRequest
from shared.flows.store_turn import SessionNamed, continue_session
from shared.history.chat_refusals import HistoryFull, SessionFull, SessionNotFound
from shared.providers.responses.dialect import ResponsesDialect
from shared.web.context import context_of
from shared.web.session_names import FIELD, HEADER, named_outside


def read_session_id(request: Request, body: Mapping[str, Any]) -> ChatSessionId | None:
    """Return the session that a request names, None where it names none.

    raises  InvalidRequest for two that differ; SessionNotFound for what names no session
    """
    named = named_outside(request)
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


async def answer_in_session(
    request: Request,
    caller: Caller,
    session_id: ChatSessionId | None,
    chat: ChatRequest,
    listener: ResponsesDialect | None = None,
) -> Response:
    """Answer a request as it goes on with its session, where it names one.

    One that was answered before is answered so again, also when its session is gone or full by now.

    raises  as continue_session, find_answer and answer_chat
    """
    resources = resources_of(request)
    if session_id is None:
        return await answer_chat(request, resources.inference, caller, chat)
    headers = context_of(request.scope).answer_headers
    named = SessionNamed(history=resources.history, session_id=session_id, listener=listener)
    try:
        continued = await continue_session(resources.desk, caller, named, chat, headers)
    except (SessionNotFound, SessionFull, HistoryFull):
        kept = await find_answer(resources.inference, resources.desk, caller, chat.claim, headers)
        if kept is None:
            raise
        return answer_kept(kept, is_stream=chat.is_stream)
    return await answer_chat(request, resources.inference, caller.counted(), continued)
