"""The account's lines: its ledger, its requests, and their sums; as JSON a page at a time, as CSV some thousands."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.account import descriptions
from functions.account.csv_text import MAX_CSV_LINES, csv_text, wants_csv
from functions.account.line_views import ActivityView, TransactionView, activity_view, transaction_view, usage_view
from functions.account.queries import read_activity_filter, read_days, read_transaction_filter
from functions.account.resources import ask, enter, resources_of
from shared.usage.types import Place
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.pagination import DEFAULT_LIMIT, MAX_LIMIT, Page, list_answer, read_page, write_cursor

router = APIRouter()


@router.get("/user/transactions", openapi_extra=descriptions.TRANSACTIONS, response_class=Response)
@router.get("/user/credit-transactions", openapi_extra=descriptions.TRANSACTIONS, response_class=Response)
@requires("account:read")
async def list_transactions(request: Request) -> Response:
    """List the account's ledger lines, newest first, each with the balance that it left."""
    caller, usage = await enter(request), resources_of(request).usage
    page = _page(request)
    chosen = read_transaction_filter(request, page)
    told = await ask(request, caller, lambda caller: usage.list_transactions(caller, chosen, limit=page.limit))
    following = write_cursor(told.lines[-1].id) if told.has_more else None
    return _answer(request, TransactionView, [transaction_view(line) for line in told.lines], following)


@router.get("/user/activity", openapi_extra=descriptions.ACTIVITY, response_class=Response)
@router.get("/user/activity/log", openapi_extra=descriptions.ACTIVITY, response_class=Response)
@requires("account:read")
async def list_activity(request: Request) -> Response:
    """List the account's requests, newest first."""
    caller, usage = await enter(request), resources_of(request).usage
    page = _page(request)
    chosen = read_activity_filter(request, page)
    told = await ask(request, caller, lambda caller: usage.list_activity(caller, chosen, limit=page.limit))
    following = None if told.last_seen is None else write_cursor(_place_text(told.last_seen))
    return _answer(request, ActivityView, [activity_view(line) for line in told.lines], following)


@router.get("/user/activity/stats", openapi_extra=descriptions.STATS, response_class=Response)
@requires("account:read")
async def sum_activity(request: Request) -> Response:
    """Sum the account's requests: in all, by day, and by model, provider and key."""
    caller, usage = await enter(request), resources_of(request).usage
    days = read_days(request, datetime.now(UTC).date())
    told = await ask(request, caller, lambda caller: usage.read_usage(caller, days))
    return json_answer(usage_view(days, told))


def _page(request: Request) -> Page:
    if wants_csv(request):
        return read_page(request, most=MAX_CSV_LINES, default=MAX_CSV_LINES)
    return read_page(request, most=MAX_LIMIT, default=DEFAULT_LIMIT)


def _place_text(place: Place) -> str:
    return f"{place.created_at} {place.generation_id}"


def _answer(
    request: Request,
    struct: type[TransactionView | ActivityView],
    views: list[TransactionView] | list[ActivityView],
    following: str | None,
) -> Response:
    if wants_csv(request):
        answer = Response(csv_text(struct, views), media_type="text/csv; charset=utf-8")
        if following is not None:
            answer.headers["X-Next-Cursor"] = following
    else:
        answer = json_answer(list_answer(views, following))
    answer.headers["Vary"] = "Accept"
    return answer
