"""/admin/users: accounts found, read, changed and made, and what they are given."""

import hashlib

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import descriptions
from functions.admin.bodies import (
    AddCreditsBody,
    AssignPlanBody,
    CreditBody,
    PlanBody,
    UserChanges,
    read_changes,
    read_dollars,
    read_fields,
    read_new_user,
)
from functions.admin.queries import read_user_filter
from functions.admin.resources import AdminResources, ask, change, enter, petition_of, read_user_id
from functions.admin.views import credit_view, provisioned_view, user_line_view, user_view
from shared.core.admin import Admin
from shared.core.ids import AccountId
from shared.flows.provision_user import provision_user
from shared.operations.accounts import Credit
from shared.web.access import requires_admin
from shared.web.answers import json_answer
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor
from shared.web.receipts import read_idempotency_key
from shared.web.refused import refuses

router = APIRouter()


@router.get("/admin/users", openapi_extra=descriptions.USERS, response_class=Response)
@requires_admin
@refuses(404)
async def list_users(request: Request) -> Response:
    """List accounts, newest first."""
    resources, admin = await enter(request)
    page, chosen = read_page(request), read_user_filter(request)
    told = await ask(
        request,
        admin,
        lambda: resources.accounts.list(admin, chosen, limit=page.limit + 1, before=page.after_id),
    )
    shown = told.users[: page.limit]
    cursor = write_cursor(shown[-1].id) if len(told.users) > page.limit else None
    return json_answer(list_answer([user_line_view(user) for user in shown], cursor))


@router.post("/admin/users", status_code=201, openapi_extra=descriptions.PROVISION, response_class=Response)
@router.post("/admin/create", status_code=201, openapi_extra=descriptions.PROVISION, response_class=Response)
@requires_admin
@refuses(404)
async def make_user(request: Request) -> Response:
    """Make an account for somebody who never signs in here, with its first key."""
    resources, admin = await enter(request)
    asked = read_new_user(await read_json_object(request))
    provisioned = await provision_user(resources.provisioning, await petition_of(request, admin), asked)
    return json_answer(provisioned_view(provisioned), 201)


@router.get("/admin/users/{user_id}", openapi_extra=descriptions.USER, response_class=Response)
@requires_admin
async def show_user(request: Request) -> Response:
    """Tell of one account."""
    resources, admin = await enter(request)
    account_id = read_user_id(request.path_params["user_id"])
    told = await ask(request, admin, lambda: resources.accounts.read(admin, account_id))
    return json_answer(user_view(told.user))


@router.patch("/admin/users/{user_id}", openapi_extra=descriptions.CHANGE_USER, response_class=Response)
@requires_admin
async def change_user(request: Request) -> Response:
    """Suspend or reinstate an account, or give its owner another role or name."""
    resources, admin = await enter(request)
    account_id = read_user_id(request.path_params["user_id"])
    changes = read_changes(UserChanges, await read_json_object(request))
    told = await change(
        request, admin, lambda receipt: resources.accounts.update(admin, account_id, changes, receipt.to_json())
    )
    return json_answer(user_view(told.user))


@router.post("/admin/users/{user_id}/credits", openapi_extra=descriptions.CREDIT, response_class=Response)
@requires_admin
async def give_credit(request: Request) -> Response:
    """Give an account credit, or take some back."""
    resources, admin = await enter(request)
    account_id = read_user_id(request.path_params["user_id"])
    credit = _credit_of(request, admin, read_fields(CreditBody, await read_json_object(request)))
    return await _give_credit(request, resources, admin, account_id, credit)


@router.post("/admin/add_credits", openapi_extra=descriptions.ADD_CREDITS, response_class=Response)
@requires_admin
@refuses(404)
async def add_credits(request: Request) -> Response:
    """Do the same for the account that the body names."""
    resources, admin = await enter(request)
    body = read_fields(AddCreditsBody, await read_json_object(request))
    return await _give_credit(request, resources, admin, read_user_id(body.user_id), _credit_of(request, admin, body))


@router.post("/admin/users/{user_id}/plan", openapi_extra=descriptions.PLAN, response_class=Response)
@requires_admin
async def give_plan(request: Request) -> Response:
    """Give an account the limits of a plan."""
    resources, admin = await enter(request)
    account_id = read_user_id(request.path_params["user_id"])
    body = read_fields(PlanBody, await read_json_object(request))
    return await _assign_plan(request, resources, admin, account_id, body.plan_id)


@router.post("/admin/assign-plan", openapi_extra=descriptions.ASSIGN_PLAN, response_class=Response)
@requires_admin
@refuses(404)
async def assign_plan(request: Request) -> Response:
    """Do the same for the account that the body names."""
    resources, admin = await enter(request)
    body = read_fields(AssignPlanBody, await read_json_object(request))
    return await _assign_plan(request, resources, admin, read_user_id(body.user_id), body.plan_id)


def _credit_of(request: Request, admin: Admin, body: CreditBody) -> Credit:
    """Return the credit as the ledger knows it for ever: by a hash of the Idempotency-Key, or by the request itself."""
    key = read_idempotency_key(request)
    return Credit(
        amount_nanos=read_dollars(body.amount),
        reason=body.reason,
        # Not under SECRET_KEY, which changes: the same credit would be given again.
        key=admin.request_id if key is None else hashlib.sha256(f"credit {key}".encode()).hexdigest(),
        expires_in_days=body.expires_in_days,
    )


async def _give_credit(
    request: Request, resources: AdminResources, admin: Admin, account_id: AccountId, credit: Credit
) -> Response:
    told = await change(
        request,
        admin,
        lambda receipt: resources.accounts.give_credit(admin, account_id, credit, receipt.to_json()),
    )
    return json_answer(credit_view(told))


async def _assign_plan(
    request: Request, resources: AdminResources, admin: Admin, account_id: AccountId, plan_id: str
) -> Response:
    told = await change(
        request,
        admin,
        lambda receipt: resources.accounts.assign_plan(admin, account_id, plan_id, receipt.to_json()),
    )
    return json_answer(user_view(told.user))
