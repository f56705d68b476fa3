"""The images function: what Vercel, uvicorn and the Lambda Web Adapter load."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import FastAPI

from functions.images import routes
from functions.images.resources import ImagesResources
from shared.clients.parameter_store import load_environment
from shared.core.settings import ImagesSettings
from shared.web.app import create_app
from shared.web.engine import open_engine


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, so that a function that lacks a setting refuses to start
    """
    settings = ImagesSettings.read(await load_environment())
    async with open_engine(settings) as engine:
        app.state.resources = ImagesResources(
            settings=settings, authenticator=engine.authenticator, inference=engine.inference
        )
        yield


app = create_app("images", routes.router, lifespan)
