"""POST /auth/privy."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.auth.resources import resources_of
from functions.auth.schemas import SIGN_IN_OPENAPI, read_sign_in, sign_in_view
from shared.core.errors import NotConfigured
from shared.flows.sign_in import Visit, sign_in
from shared.web.access import public
from shared.web.answers import json_answer
from shared.web.auth import client_address
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.receipts import receipt_maker
from shared.web.refused import refuses

router = APIRouter()


@router.post("/auth/privy", openapi_extra=SIGN_IN_OPENAPI, response_class=Response)
@router.post("/auth", openapi_extra=SIGN_IN_OPENAPI, response_class=Response)
@public
@refuses(401, 403, 429, 501)
async def sign_in_with_privy(request: Request) -> Response:
    """Sign in with a token of Privy's; someone new gets an account and its first key."""
    resources = resources_of(request)
    if resources.door is None:
        raise NotConfigured("Nobody can sign in here: the operator has set no PRIVY_APP_ID.")
    body = read_sign_in(await read_json_object(request))
    settings, context = resources.settings, context_of(request.scope)
    # What is answered here is the person's alone, and for someone new a secret.
    context.answer_headers["Cache-Control"] = "no-store"
    visit = Visit(
        access_token=body.token,
        identity_token=body.identity_token,
        referral_code=body.referral_code,
        receipt_of=receipt_maker(request, settings.secret_keys),
        address=client_address(request, settings.address_source),
        request_id=context.request_id,
        received_s=context.received_s,
    )
    return json_answer(sign_in_view(await sign_in(resources.door, visit, context.answer_headers)))
