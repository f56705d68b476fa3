"""What a function opens once and keeps for its routes as long as it runs."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI

from shared.web.under_way import Lifespan


def keep_open[Resources](open_resources: Callable[[], AbstractAsyncContextManager[Resources]]) -> Lifespan:
    """Return a lifespan that opens the resources, and closes them when the function is stopped.

    raises  when it starts: whatever opening raises, so that a function that lacks a setting refuses to start
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_resources() as resources:
            app.state.resources = resources
            yield

    return lifespan


def kept_resources[Resources](app: FastAPI, kind: type[Resources]) -> Resources:
    """Return what the lifespan opened."""
    resources = app.state.resources
    assert isinstance(resources, kind)
    return resources
