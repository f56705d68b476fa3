"""/admin/monitor, /admin/switches, /admin/audit and /admin/ledger/check: what goes on, and what is stopped."""

from datetime import UTC, datetime

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import descriptions
from functions.admin.monitor_views import monitor_view
from functions.admin.queries import read_account, read_audit_filter, read_window
from functions.admin.resources import ask, change, enter
from functions.admin.sale_bodies import read_switches
from functions.admin.state_views import audit_view, ledger_check_view, switches_view
from shared.flows.read_monitor import read_monitor
from shared.web.access import requires_admin
from shared.web.answers import json_answer
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor
from shared.web.refused import refuses

router = APIRouter()


@router.get("/admin/monitor", openapi_extra=descriptions.MONITOR, response_class=Response)
@requires_admin
async def show_monitor(request: Request) -> Response:
    """Tell what went on in a window, and what stands open now."""
    resources, admin = await enter(request)
    window = read_window(request, datetime.now(UTC))
    headers = context_of(request.scope).answer_headers
    return json_answer(monitor_view(await read_monitor(resources.monitor, admin, window, headers)))


@router.get("/admin/switches", openapi_extra=descriptions.SWITCHES, response_class=Response)
@requires_admin
async def show_switches(request: Request) -> Response:
    """Tell what is stopped, and what the house has lost today."""
    resources, admin = await enter(request)
    told = await ask(request, admin, lambda: resources.state.read_switches(admin))
    return json_answer(switches_view(told.switches))


@router.put("/admin/switches", openapi_extra=descriptions.SET_SWITCHES, response_class=Response)
@requires_admin
async def set_switches(request: Request) -> Response:
    """Stop, or let go on; what is not named stays."""
    resources, admin = await enter(request)
    changes = read_switches(await read_json_object(request))
    told = await change(request, admin, lambda receipt: resources.state.set_switches(admin, changes, receipt.to_json()))
    return json_answer(switches_view(told.switches))


@router.get("/admin/audit", openapi_extra=descriptions.AUDIT, response_class=Response)
@requires_admin
@refuses(404)
async def list_audit(request: Request) -> Response:
    """List who did what to whom, newest first."""
    resources, admin = await enter(request)
    page, chosen = read_page(request), read_audit_filter(request)
    told = await ask(
        request,
        admin,
        lambda: resources.state.list_audit(admin, chosen, limit=page.limit + 1, before=page.after_id),
    )
    shown = told.lines[: page.limit]
    cursor = write_cursor(shown[-1].id) if len(told.lines) > page.limit else None
    return json_answer(list_answer([audit_view(line) for line in shown], cursor))


@router.get("/admin/ledger/check", openapi_extra=descriptions.LEDGER_CHECK, response_class=Response)
@requires_admin
@refuses(404)
async def check_ledger(request: Request) -> Response:
    """Add the books up anew, of one account or of all."""
    resources, admin = await enter(request)
    account_id = read_account(request, "user")
    told = await ask(request, admin, lambda: resources.state.check_ledger(admin, account_id))
    return json_answer(ledger_check_view(told))
