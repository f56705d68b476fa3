"""What the jobs are built with once."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from fastapi import FastAPI

from shared.clients.database import Database
from shared.clients.http_session import open_session
from shared.clients.parameter_store import load_environment
from shared.core.settings import ScheduledSettings
from shared.ledger.store import Ledger


@dataclass(frozen=True, slots=True)
class ScheduledResources:
    """The jobs' settings and the stores that they work on."""

    settings: ScheduledSettings
    ledger: Ledger


@asynccontextmanager
async def open_resources() -> AsyncIterator[ScheduledResources]:
    """Read the settings and open one session for as long as the jobs run.

    raises  SettingsError, ParametersUnavailable, so that a function that lacks a setting refuses to start
    """
    settings = ScheduledSettings.read(await load_environment())
    stores = settings.stores
    async with open_session() as session:
        database = Database(session, url=stores.supabase_url, key=stores.supabase_key)
        yield ScheduledResources(settings=settings, ledger=Ledger(database))


def resources_of(app: FastAPI) -> ScheduledResources:
    """Return what the lifespan built."""
    resources = app.state.resources
    assert isinstance(resources, ScheduledResources)
    return resources
