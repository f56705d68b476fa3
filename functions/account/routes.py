"""The account itself: its balance, its owner, its limits, its end."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.account import descriptions
from functions.account.bodies import confirm_deletion, read_profile_changes
from functions.account.resources import ask, enter, resources_of
from functions.account.views import balance_view, limits_view, profile_view
from shared.flows.delete_account import delete_account
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.refused import refuses

router = APIRouter()


@router.get("/user/balance", openapi_extra=descriptions.BALANCE, response_class=Response)
@requires("account:read")
async def show_balance(request: Request) -> Response:
    """Tell what the account has at this moment."""
    caller = await enter(request)
    return json_answer(balance_view(await ask(request, caller, resources_of(request).accounts.read_balance)))


@router.get("/user/profile", openapi_extra=descriptions.PROFILE, response_class=Response)
@requires("account:read")
async def show_profile(request: Request) -> Response:
    """Tell who the owner is, as far as he has told."""
    caller = await enter(request)
    return json_answer(profile_view(await ask(request, caller, resources_of(request).accounts.read_profile)))


@router.patch("/user/profile", openapi_extra=descriptions.UPDATE_PROFILE, response_class=Response)
@router.put("/user/profile", openapi_extra=descriptions.UPDATE_PROFILE, response_class=Response)
@requires("account:write")
async def change_profile(request: Request) -> Response:
    """Change the fields that are named; turning zero_retention on erases what is kept."""
    caller, accounts = await enter(request), resources_of(request).accounts
    changes = read_profile_changes(await read_json_object(request))
    return json_answer(
        profile_view(await ask(request, caller, lambda caller: accounts.update_profile(caller, changes)))
    )


@router.get("/user/limits", openapi_extra=descriptions.LIMITS, response_class=Response)
@router.get("/user/limit", openapi_extra=descriptions.LIMITS, response_class=Response)
@requires("account:read")
async def show_limits(request: Request) -> Response:
    """Tell the limits in force and what is used of them, this request included."""
    caller, resources = await enter(request), resources_of(request)
    limits = await ask(request, caller, resources.accounts.read_limits)
    standings = await resources.desk.limiter.look(limits.policy, key=caller.fingerprints[0])
    return json_answer(limits_view(limits, standings))


@router.delete("/user/account", status_code=204, openapi_extra=descriptions.DELETE, response_class=Response)
@requires("account:write")
@refuses(409)
async def end_account(request: Request) -> Response:
    """Delete the account: its keys at once, and all that says whose it was; its ledger stays."""
    caller, resources = await enter(request), resources_of(request)
    confirm_deletion(await read_json_object(request))
    headers = context_of(request.scope).answer_headers
    await delete_account(resources.desk, resources.accounts, caller, headers)
    return Response(status_code=204)
