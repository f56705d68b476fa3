"""POST /user/api-keys, PATCH and DELETE of one, and what gives it a new secret."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.keys import descriptions
from functions.keys.resources import KeysResources, read_key_id, resources_of
from functions.keys.schemas import read_key_changes, read_new_key, read_overlap_hours
from functions.keys.views import issued_key_view, key_view
from shared.flows.manage_keys import Petition, collect_key, create_key, revoke_key, rotate_key, update_key
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.receipts import read_receipt
from shared.web.refused import refuses

router = APIRouter()


@router.post("/user/api-keys", status_code=201, openapi_extra=descriptions.CREATE, response_class=Response)
@requires("keys:write")
async def make_key(request: Request) -> Response:
    """Make a key; its secret is in this answer and in no other."""
    resources, petition = await _enter(request)
    environment, settings = read_new_key(await read_json_object(request))
    return json_answer(issued_key_view(await create_key(resources.means, petition, settings, environment)), 201)


@router.patch("/user/api-keys/{key_id}", openapi_extra=descriptions.UPDATE, response_class=Response)
@router.put("/user/api-keys/{key_id}", openapi_extra=descriptions.UPDATE, response_class=Response)
@requires("keys:write")
@refuses(409)
async def change_key(request: Request) -> Response:
    """Change the settings that are named, of the key that is named."""
    resources, petition = await _enter(request)
    key_id = read_key_id(request.path_params["key_id"])
    changes = read_key_changes(await read_json_object(request))
    return json_answer(key_view(await update_key(resources.means, petition, key_id, changes)))


@router.post("/user/api-keys/{key_id}/rotate", openapi_extra=descriptions.ROTATE, response_class=Response)
@requires("keys:write")
async def give_new_secret(request: Request) -> Response:
    """Give a key a new secret; id, settings and history stay."""
    resources, petition = await _enter(request)
    key_id = read_key_id(request.path_params["key_id"])
    hours = read_overlap_hours(await read_json_object(request, may_be_empty=True))
    return json_answer(issued_key_view(await rotate_key(resources.means, petition, key_id, hours)))


@router.post("/user/api-keys/{key_id}/collect", openapi_extra=descriptions.COLLECT, response_class=Response)
@requires("keys:write")
async def collect_new_secret(request: Request) -> Response:
    """Hand out the secret that a rotation by schedule made."""
    resources, petition = await _enter(request)
    key_id = read_key_id(request.path_params["key_id"])
    return json_answer(issued_key_view(await collect_key(resources.means, petition, key_id)))


@router.delete("/user/api-keys/{key_id}", status_code=204, openapi_extra=descriptions.REVOKE, response_class=Response)
@requires("keys:write")
async def end_key(request: Request) -> Response:
    """Revoke a key for good."""
    resources, petition = await _enter(request)
    await revoke_key(resources.means, petition, read_key_id(request.path_params["key_id"]))
    return Response(status_code=204)


async def _enter(request: Request) -> tuple[KeysResources, Petition]:
    resources = resources_of(request)
    caller = await resources.authenticator.caller_of(request)
    receipt = await read_receipt(request, resources.settings.secret_keys) if request.method == "POST" else None
    answer_headers = context_of(request.scope).answer_headers
    return resources, Petition(caller=caller, receipt=receipt, answer_headers=answer_headers)
