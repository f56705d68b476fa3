"""GET /plans and GET /user/plan: what is offered, and what somebody has."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.billing import descriptions
from functions.billing.plan_views import one_plan_view, own_plan_view, plans_view
from functions.billing.resources import ask, enter, resources_of
from shared.billing.refusals import UnknownPlan
from shared.web.access import public, requires
from shared.web.answers import json_answer

router = APIRouter()
# As long as models are: an operator's change shows within a minute.
CACHE_CONTROL = "public, max-age=60, s-maxage=60"


@router.get("/plans", openapi_extra=descriptions.PLANS, response_class=Response)
@public
async def list_plans(request: Request) -> Response:
    """List what is offered, from where it is enforced."""
    return _cached(json_answer(plans_view(await resources_of(request).plans.list())))


@router.get("/plans/{plan_id}", openapi_extra=descriptions.PLAN, response_class=Response)
@public
async def show_plan(request: Request) -> Response:
    """Show one plan that is offered."""
    offer = await resources_of(request).plans.list()
    for plan in offer.plans:
        if plan.id == request.path_params["plan_id"]:
            return _cached(json_answer(one_plan_view(plan, offer.trial)))
    raise UnknownPlan("No plan of this id is offered. GET /plans lists those that are.", param="plan_id")


@router.get("/user/plan", openapi_extra=descriptions.OWN_PLAN, response_class=Response)
@requires("billing:read")
async def show_own_plan(request: Request) -> Response:
    """Tell which plan the account is on, and what is used of it."""
    caller = await enter(request)
    return json_answer(own_plan_view(await ask(request, caller, resources_of(request).plans.read)))


def _cached(answer: Response) -> Response:
    answer.headers["Cache-Control"] = CACHE_CONTROL
    return answer
