"""GET or POST /internal/jobs/{name}: how a scheduler that speaks HTTP starts a job."""

import hmac

from fastapi import APIRouter
from starlette.requests import Request

from functions.scheduled.jobs import run_job
from functions.scheduled.resources import ScheduledResources, resources_of
from shared.core.errors import GatewayError, NotConfigured
from shared.web.access import requires_cron_secret
from shared.web.refused import refuses

router = APIRouter()


class WrongCronSecret(GatewayError):
    """Whoever calls is not our scheduler."""

    status = 401
    code = "wrong_cron_secret"
    advice = "Jobs are started with the gateway's CRON_SECRET."
    type = "authentication_error"


# Vercel's crons send GET, pg_net and people POST.
@router.get("/internal/jobs/{name}")
@router.post("/internal/jobs/{name}")
@requires_cron_secret
@refuses(501)
async def start_job(request: Request, name: str) -> dict[str, str | int]:
    """Run a job and answer when it is done, with what it did."""
    resources = resources_of(request.app)
    _authorise(request, resources)
    return await run_job(resources, name)


def _authorise(request: Request, resources: ScheduledResources) -> None:
    """Let the scheduler pass.

    raises  NotConfigured, WrongCronSecret
    source  https://vercel.com/docs/cron-jobs/manage-cron-jobs#securing-cron-jobs
    """
    secret = resources.settings.cron_secret
    if secret is None:
        raise NotConfigured("Jobs are not started over HTTP here: the operator has set no CRON_SECRET.")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(given.strip().encode(), secret.encode()):
        raise WrongCronSecret("This needs the gateway's CRON_SECRET: Authorization: Bearer <CRON_SECRET>.")
