"""The catalog function: what Vercel and uvicorn load, and what AWS Lambda calls."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from functions.catalog import manual_routes, rankings, routes
from functions.catalog.manual import Manual
from functions.catalog.resources import CatalogResources
from shared.catalog.store import Catalog
from shared.clients.parameter_store import load_environment
from shared.clients.supabase import Supabase
from shared.clients.upstash import UpstashRedis
from shared.core.clock import wall_clock_ms
from shared.core.settings import CatalogSettings
from shared.providers.registry import PROVIDERS
from shared.ranking.store import Rankings
from shared.routing.records import HealthRecords
from shared.web.app import create_app
from shared.web.aws import LambdaHandler


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the settings and open the two stores for the life of the function.

    raises  SettingsError, so that a function that lacks a setting refuses to start
    """
    stores = CatalogSettings.read(await load_environment()).stores
    supabase = await Supabase.open(url=stores.supabase_url, key=stores.supabase_key)
    redis = UpstashRedis(url=stores.redis_url, token=stores.redis_token)
    app.state.resources = CatalogResources(
        catalog=Catalog(supabase),
        rankings=Rankings(supabase),
        health=HealthRecords(redis, tuple(PROVIDERS), wall_clock_ms),
        redis=redis,
        manual=Manual.read(),
    )
    try:
        yield
    finally:
        await supabase.close()
        await redis.close()


router = APIRouter()
router.include_router(manual_routes.router)
router.include_router(routes.router)
router.include_router(rankings.router)
app = create_app("catalog", router, lifespan)
handler = LambdaHandler(app)
