"""GET /v1/key and GET /user/api-keys: the key in use, the account's keys, their usage and what was done to them."""

import re
from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.keys import descriptions
from functions.keys.descriptions import DEFAULT_USAGE_DAYS, MAX_USAGE_DAYS
from functions.keys.resources import read_key_id, resources_of
from functions.keys.views import event_view, key_view, own_key_view, usage_view
from shared.core.errors import InvalidRequest
from shared.flows.read_keys import KeyReader
from shared.web.access import requires, requires_any_key
from shared.web.answers import json_answer
from shared.web.context import context_of
from shared.web.pagination import list_answer, read_page, write_cursor
from shared.web.refused import refuses

router = APIRouter()
_DAYS = re.compile(r"\d{1,2}", re.ASCII)


@router.get("/v1/key", openapi_extra=descriptions.OWN_KEY, response_class=Response)
@requires_any_key
async def show_own_key(request: Request) -> Response:
    """Tell of the key in use: what it may do, what it has used and what is left to it."""
    told = await (await _reader(request)).read(None)
    return json_answer(own_key_view(told.key, told.policy))


@router.get("/user/api-keys", openapi_extra=descriptions.LIST, response_class=Response)
@requires("keys:read")
async def list_keys(request: Request) -> Response:
    """List the account's keys, oldest first."""
    reader, page = await _reader(request), read_page(request)
    keys = (await reader.list(limit=page.limit + 1, after=page.after_id)).keys
    return json_answer(_page([(key.id, key_view(key)) for key in keys], page.limit))


@router.get("/user/api-keys/usage", openapi_extra=descriptions.USAGE, response_class=Response)
@requires("keys:read")
async def show_usage(request: Request) -> Response:
    """Tell what each key was charged for in the last days, and what is left to it."""
    reader, page, days = await _reader(request), read_page(request), _read_days(request)
    told = await reader.usage(days=days, limit=page.limit + 1, after=page.after_id)
    usages = [(usage.key.id, usage_view(usage)) for usage in told.usages]
    return json_answer({**_page(usages, page.limit), "since": told.since})


@router.get("/user/api-keys/audit-logs", openapi_extra=descriptions.AUDIT_LOGS, response_class=Response)
@requires("keys:read")
@refuses(404)
async def list_events(request: Request) -> Response:
    """List who did what to which key, from where; newest first."""
    reader, page = await _reader(request), read_page(request)
    named = request.query_params.get("key_id")
    key_id = None if named is None else read_key_id(named)
    events = (await reader.events(key_id, limit=page.limit + 1, before=page.after_id)).events
    return json_answer(_page([(event.id, event_view(event)) for event in events], page.limit))


@router.get("/user/api-keys/{key_id}", openapi_extra=descriptions.READ, response_class=Response)
@requires("keys:read")
async def show_key(request: Request) -> Response:
    """Tell of one key."""
    told = await (await _reader(request)).read(read_key_id(request.path_params["key_id"]))
    return json_answer(key_view(told.key))


async def _reader(request: Request) -> KeyReader:
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    return KeyReader(resources.means.desk, caller, context_of(request.scope).answer_headers)


def _page(rows: Sequence[tuple[int, Any]], limit: int) -> dict[str, Any]:
    """Return a page of rows, of which one more than fits was asked for; each has its place in the list."""
    shown = rows[:limit]
    return list_answer([row for _, row in shown], write_cursor(shown[-1][0]) if len(rows) > limit else None)


def _read_days(request: Request) -> int:
    text = request.query_params.get("days")
    if text is None:
        return DEFAULT_USAGE_DAYS
    if not _DAYS.fullmatch(text) or not 1 <= int(text) <= MAX_USAGE_DAYS:
        raise InvalidRequest(f"days: a whole number from 1 to {MAX_USAGE_DAYS}.", param="days")
    return int(text)
