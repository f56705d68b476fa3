"""How the routes of stored chats are described: parameters, bodies and answers, made when somebody reads them."""

from typing import Any

from functions.history.schemas import MAX_QUERY_LENGTH, NewMessage, NewSession, SearchBody, SessionChanges
from functions.history.views import FoundView, MessageView, SessionView, StatsView, WholeSessionView
from shared.web.openapi import PAGE_PARAMETERS, OnDemand, answer_of, body_of, list_of

_SESSION_ID = {"name": "session_id", "in": "path", "required": True, "schema": {"type": "string"}}
_IDEMPOTENCY_KEY = {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string", "maxLength": 255}}
_WORDS = {
    "name": "q",
    "in": "query",
    "required": True,
    "schema": {"type": "string", "minLength": 1, "maxLength": MAX_QUERY_LENGTH},
}


def _with(parameters: list[dict[str, Any]], description: dict[str, Any]) -> dict[str, Any]:
    return {**description, "parameters": [*parameters, *description.get("parameters", ())]}


CREATE = OnDemand(lambda: _with([_IDEMPOTENCY_KEY], body_of(NewSession) | answer_of(SessionView, status=201)))
LIST = OnDemand(lambda: list_of(SessionView))
READ = OnDemand(lambda: _with([_SESSION_ID, *PAGE_PARAMETERS], answer_of(WholeSessionView)))
UPDATE = OnDemand(lambda: _with([_SESSION_ID], body_of(SessionChanges) | answer_of(SessionView)))
DELETE = OnDemand(lambda: {"parameters": [_SESSION_ID]})
ADD = OnDemand(lambda: _with([_SESSION_ID, _IDEMPOTENCY_KEY], body_of(NewMessage) | answer_of(MessageView, status=201)))
SEARCH = OnDemand(lambda: _with([_WORDS], list_of(FoundView)))
SEARCH_BY_BODY = OnDemand(lambda: body_of(SearchBody) | list_of(FoundView))
STATS = OnDemand(lambda: answer_of(StatsView))
