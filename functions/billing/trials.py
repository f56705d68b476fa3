"""POST /trials/start and GET /trials/status: the one trial of a person."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.billing import gift_descriptions as descriptions
from functions.billing.gift_views import trial_view
from functions.billing.gifts import give
from functions.billing.resources import ask, enter, resources_of
from functions.billing.schemas import refuse_fields
from shared.flows.send_email import send_at_once
from shared.trials.store import Trials
from shared.web.access import requires
from shared.web.answers import json_answer
from shared.web.json_body import read_json_object

router = APIRouter()


@router.post("/trials/start", openapi_extra=descriptions.START_TRIAL, response_class=Response)
@requires("billing:write")
async def start_trial(request: Request) -> Response:
    """Give the caller his trial."""
    caller, resources = await enter(request), resources_of(request)
    refuse_fields(await read_json_object(request, may_be_empty=True))
    told = await give(request, caller, Trials(resources.desk.database).start)
    await send_at_once(resources.mail, told.policy.account_id)
    return json_answer(trial_view(told))


@router.get("/trials/status", openapi_extra=descriptions.TRIAL, response_class=Response)
@router.get("/trial/status", openapi_extra=descriptions.TRIAL, response_class=Response)
@requires("billing:read")
async def show_trial(request: Request) -> Response:
    """Tell of the account's trial: when it ends and what is left of it."""
    caller, trials = await enter(request), Trials(resources_of(request).desk.database)
    return json_answer(trial_view(await ask(request, caller, trials.read)))
