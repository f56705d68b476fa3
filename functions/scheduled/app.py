"""The function of the jobs: what Vercel and uvicorn load, and what AWS Lambda calls, by a schedule or over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from functions.scheduled.jobs import run_job
from functions.scheduled.resources import open_resources, resources_of
from functions.scheduled.routes import router
from shared.web.app import create_app
from shared.web.aws import LambdaHandler


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open what the jobs work on for the life of the function.

    raises  SettingsError, ParametersUnavailable, so that a function that lacks a setting refuses to start
    """
    async with open_resources() as resources:
        app.state.resources = resources
        yield


async def _run_scheduled(app: FastAPI, name: str) -> dict[str, str | int]:
    return await run_job(resources_of(app), name)


app = create_app("scheduled", router, lifespan)
handler = LambdaHandler(app, run_job=_run_scheduled)
