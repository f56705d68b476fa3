"""/v1/chat/search and /v1/chat/stats: what is in the caller's own conversations."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.history import descriptions
from functions.history.resources import ask, enter
from functions.history.schemas import read_search, read_words
from functions.history.views import found_view, stats_view
from shared.core.caller import Caller
from shared.core.ids import ChatMessageId
from shared.history.chats import History
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor

router = APIRouter()


@router.get("/v1/chat/search", openapi_extra=descriptions.SEARCH, response_class=Response)
@requires("history:read")
async def search_by_query(request: Request) -> Response:
    """Find the messages that have the words of `q`, newest first."""
    caller, history = await enter(request)
    return await _answer(request, caller, history, read_words(request.query_params.get("q")))


@router.post("/v1/chat/search", openapi_extra=descriptions.SEARCH_BY_BODY, response_class=Response)
@requires("history:read")
async def search_by_body(request: Request) -> Response:
    """Find the messages that have the words of `query`, newest first."""
    caller, history = await enter(request)
    return await _answer(request, caller, history, read_search(await read_json_object(request)))


@router.get("/v1/chat/stats", openapi_extra=descriptions.STATS, response_class=Response)
@requires("history:read")
async def show_stats(request: Request) -> Response:
    """Tell what all conversations come to."""
    caller, history = await enter(request)
    return json_answer(stats_view(await ask(request, caller, lambda: history.read_stats(caller))))


async def _answer(request: Request, caller: Caller, history: History, words: str) -> Response:
    page = read_page(request)
    before = None if page.after_id is None else ChatMessageId(page.after_id)
    told = await ask(request, caller, lambda: history.search(caller, words, limit=page.limit + 1, before=before))
    shown = told.messages[: page.limit]
    cursor = write_cursor(shown[-1].id) if len(told.messages) > page.limit else None
    return json_answer(list_answer([found_view(message) for message in shown], cursor))
