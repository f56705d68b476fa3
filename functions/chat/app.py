"""The chat function: what Vercel, uvicorn and the Lambda Web Adapter load."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from functions.chat import generations, messages, responses, routes
from functions.chat.resources import ChatResources
from shared.clients.database import Database
from shared.clients.fernet import Sealer
from shared.clients.http_session import open_session
from shared.clients.parameter_store import load_environment
from shared.clients.privy import open_privy
from shared.clients.redis import Redis
from shared.clients.upstream import Upstream
from shared.core.clock import wall_clock_ms
from shared.core.settings import ChatSettings
from shared.flows.ask import Desk
from shared.flows.inference import Inference, configure_providers
from shared.flows.store_response import Archive
from shared.history.responses import StoredResponses
from shared.ledger.late import LateSettlements
from shared.ledger.store import Ledger
from shared.limits.store import Limiter
from shared.routing.health import ProviderHealth
from shared.web.app import create_app
from shared.web.auth import Authenticator


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, so that a function that lacks a setting refuses to start
    """
    settings = ChatSettings.read(await load_environment())
    stores = settings.stores
    async with open_session() as session:
        redis = Redis(session, url=stores.redis_url, token=stores.redis_token)
        desk = Desk(
            limiter=Limiter(redis, wall_clock_ms),
            database=Database(session, url=stores.supabase_url, key=stores.supabase_key),
        )
        privy = open_privy(session, settings.privy)
        app.state.resources = ChatResources(
            settings=settings,
            authenticator=Authenticator(settings.secret_keys, settings.address_source, privy),
            desk=desk,
            inference=Inference(
                ledger=Ledger(desk.database),
                limiter=desk.limiter,
                late=LateSettlements(redis, wall_clock_ms),
                upstream=Upstream(session),
                health=ProviderHealth(time.monotonic),
                providers=configure_providers(settings.providers),
                time_limit_s=settings.time_limit_s,
                connection_silence_limit_s=settings.connection_silence_limit_s,
                silence_limit_s=settings.silence_limit_s,
                hold_grace_s=settings.hold_grace_s,
                sees_hang_ups=settings.address_source.tells_of_hang_ups,
                sealer=Sealer(settings.secret_keys, purpose="kept answers"),
            ),
            archive=Archive(StoredResponses(desk.database), Sealer(settings.secret_keys, purpose="stored responses")),
        )
        yield


router = APIRouter()
router.include_router(routes.router)
router.include_router(messages.router)
router.include_router(responses.router)
router.include_router(generations.router)
app = create_app("chat", router, lifespan, dialects=(messages.DIALECT, responses.DIALECT))
