"""/v1/chat/sessions: conversations made, listed, read, changed and deleted, and messages put into them."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.history import descriptions
from functions.history.resources import ask, ask_once, enter, read_session_id
from functions.history.schemas import read_new_message, read_new_session, read_session_changes
from functions.history.views import message_view, session_view, whole_session_view
from shared.core.errors import InvalidRequest
from shared.core.ids import ChatSessionId
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor

router = APIRouter()
LAST_PLACE = 2**31 - 1


@router.post("/v1/chat/sessions", status_code=201, openapi_extra=descriptions.CREATE, response_class=Response)
@router.post("/chat/sessions", status_code=201, openapi_extra=descriptions.CREATE, response_class=Response)
@requires("history:write")
async def make_session(request: Request) -> Response:
    """Begin a conversation."""
    caller, history = await enter(request)
    session = read_new_session(await read_json_object(request, may_be_empty=True))
    told = await ask_once(request, caller, lambda receipt: history.create_session(caller, session, receipt))
    return json_answer(session_view(told.session), 201)


@router.get("/v1/chat/sessions", openapi_extra=descriptions.LIST, response_class=Response)
@router.get("/chat/sessions", openapi_extra=descriptions.LIST, response_class=Response)
@requires("history:read")
async def list_sessions(request: Request) -> Response:
    """List the account's conversations, newest first."""
    caller, history = await enter(request)
    page = read_page(request)
    before = None if page.after_id is None else ChatSessionId(page.after_id)
    told = await ask(request, caller, lambda: history.list_sessions(caller, limit=page.limit + 1, before=before))
    shown = told.sessions[: page.limit]
    cursor = write_cursor(shown[-1].id) if len(told.sessions) > page.limit else None
    return json_answer(list_answer([session_view(session) for session in shown], cursor))


@router.get("/v1/chat/sessions/{session_id}", openapi_extra=descriptions.READ, response_class=Response)
@requires("history:read")
async def show_session(request: Request) -> Response:
    """Tell of one conversation, with its messages in their order."""
    caller, history = await enter(request)
    session_id, page = read_session_id(request), read_page(request)
    after = page.after_id
    if after is not None and after > LAST_PLACE:
        raise InvalidRequest("after: take it from `next` of the page before, as it stands there.", param="after")
    told = await ask(request, caller, lambda: history.read_session(caller, session_id, limit=page.limit, after=after))
    return json_answer(whole_session_view(told))


@router.patch("/v1/chat/sessions/{session_id}", openapi_extra=descriptions.UPDATE, response_class=Response)
@router.put("/v1/chat/sessions/{session_id}", openapi_extra=descriptions.UPDATE, response_class=Response)
@requires("history:write")
async def change_session(request: Request) -> Response:
    """Change what is named."""
    caller, history = await enter(request)
    session_id = read_session_id(request)
    changes = read_session_changes(await read_json_object(request))
    told = await ask(request, caller, lambda: history.update_session(caller, session_id, changes))
    return json_answer(session_view(told.session))


@router.delete(
    "/v1/chat/sessions/{session_id}", status_code=204, openapi_extra=descriptions.DELETE, response_class=Response
)
@requires("history:write")
async def end_session(request: Request) -> Response:
    """Delete a conversation for good; again is harmless."""
    caller, history = await enter(request)
    session_id = read_session_id(request)
    await ask(request, caller, lambda: history.delete_session(caller, session_id))
    return Response(status_code=204)


@router.post(
    "/v1/chat/sessions/{session_id}/messages", status_code=201, openapi_extra=descriptions.ADD, response_class=Response
)
@requires("history:write")
async def add_message(request: Request) -> Response:
    """Put a message at the end of a conversation."""
    caller, history = await enter(request)
    session_id = read_session_id(request)
    message, model_id = read_new_message(await read_json_object(request))
    told = await ask_once(
        request, caller, lambda receipt: history.add_message(caller, session_id, message, model_id, receipt)
    )
    return json_answer(message_view(told.message), 201)
