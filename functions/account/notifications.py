"""Which e-mails the owner wants."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.account import descriptions
from functions.account.bodies import read_email_changes
from functions.account.resources import ask, enter, resources_of
from functions.account.views import TestEmailView, email_preferences_view
from shared.core.errors import NotConfigured
from shared.core.receipts import note_replay
from shared.flows.own_receipt import own_receipt
from shared.flows.send_email import send_at_once
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.context import context_of
from shared.web.json_body import read_json_object
from shared.web.receipts import read_receipt
from shared.web.refused import refuses

router = APIRouter()


@router.get("/user/notifications/preferences", openapi_extra=descriptions.EMAILS, response_class=Response)
@requires("account:read")
async def show_preferences(request: Request) -> Response:
    """Tell which e-mails the owner wants, and below which balance he is warned."""
    caller, accounts = await enter(request), resources_of(request).accounts
    return json_answer(email_preferences_view(await ask(request, caller, accounts.read_email_preferences)))


@router.put("/user/notifications/preferences", openapi_extra=descriptions.UPDATE_EMAILS, response_class=Response)
@requires("account:write")
async def change_preferences(request: Request) -> Response:
    """Change what is named."""
    caller, accounts = await enter(request), resources_of(request).accounts
    changes = read_email_changes(await read_json_object(request))
    answer = await ask(request, caller, lambda caller: accounts.update_email_preferences(caller, changes))
    return json_answer(email_preferences_view(answer))


@router.post(
    "/user/notifications/test", status_code=202, openapi_extra=descriptions.TEST_EMAIL, response_class=Response
)
@requires("account:write")
@refuses(501)
async def send_test(request: Request) -> Response:
    """Send the owner an e-mail, where this gateway can send any.

    raises  NotConfigured
    """
    caller, resources = await enter(request), resources_of(request)
    given = await read_receipt(request, resources.settings.secret_keys)
    if resources.mails.resend is None:
        # Who may not do it is told that, and not what the operator lacks.
        await ask(request, caller, resources.accounts.read_email_preferences)
        raise NotConfigured("This gateway sends no e-mail: its operator has not set it up.")
    receipt = own_receipt(given, caller, resources.settings.secret_keys)
    told = await ask(request, caller, lambda caller: resources.mails.outbox.request_test(caller, receipt))
    if told.is_replayed and given is not None:
        note_replay(context_of(request.scope).answer_headers)
    await send_at_once(resources.mails, told.account_id)
    return json_answer(TestEmailView(to=told.address), 202)
