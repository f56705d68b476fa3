"""The function of the jobs: what Vercel and uvicorn load, and what AWS Lambda calls, by a schedule or over HTTP."""

from fastapi import FastAPI

from functions.scheduled.jobs import run_job
from functions.scheduled.resources import open_resources, resources_of
from functions.scheduled.routes import router
from shared.web.app import create_app
from shared.web.aws import LambdaHandler
from shared.web.resources import keep_open


async def _run_scheduled(app: FastAPI, name: str) -> dict[str, str | int]:
    return await run_job(resources_of(app), name)


app = create_app("scheduled", router, keep_open(open_resources))
handler = LambdaHandler(app, run_job=_run_scheduled)
