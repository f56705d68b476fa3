"""The chat function: what Vercel, uvicorn and the Lambda Web Adapter load."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI

from functions.chat import embeddings, generations, messages, responses, routes
from functions.chat.resources import ChatResources
from shared.clients.fernet import Sealer
from shared.clients.parameter_store import load_environment
from shared.core.settings import ChatSettings
from shared.flows.store_response import Archive
from shared.history.chats import History
from shared.history.responses import StoredResponses
from shared.web.app import create_app
from shared.web.engine import open_engine


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Read the settings and open one session for the life of the function.

    raises  SettingsError, so that a function that lacks a setting refuses to start
    """
    settings = ChatSettings.read(await load_environment())
    async with open_engine(settings) as engine:
        database = engine.desk.database
        app.state.resources = ChatResources(
            settings=settings,
            authenticator=engine.authenticator,
            desk=engine.desk,
            inference=engine.inference,
            archive=Archive(StoredResponses(database), Sealer(settings.secret_keys, purpose="stored responses")),
            history=History(database),
        )
        yield


router = APIRouter()
router.include_router(routes.router)
router.include_router(messages.router)
router.include_router(responses.router)
router.include_router(embeddings.router)
router.include_router(generations.router)
app = create_app("chat", router, lifespan, dialects=(messages.DIALECT, responses.DIALECT))
