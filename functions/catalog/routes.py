"""Health, models and providers."""

import asyncio
from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from starlette.requests import Request

from functions.catalog.resources import CatalogResources, resources_of
from functions.catalog.schemas import (
    Health,
    ModelDetail,
    ModelList,
    Pong,
    ProviderList,
    model_detail,
    model_view,
    provider_status,
    provider_view,
)
from shared.catalog.types import Model
from shared.clients.redis_failure import RedisUnavailable
from shared.core.errors import GatewayError, StoreUnavailable
from shared.providers.registry import PROVIDERS
from shared.providers.simulated import SIMULATED
from shared.web.access import public

router = APIRouter()

VERSION = "0.1.0"
# Long enough to spare the database a crowd, short enough that a new model shows while its announcement is read.
CACHE_CONTROL = "public, max-age=60, s-maxage=60"


class UnknownModel(GatewayError):
    """The catalog has no such model."""

    status = 404
    code = "model_not_found"


@router.get("/health", responses={503: {"model": Health, "description": "No request can be served."}})
@public
async def read_health(request: Request, response: Response) -> Health:
    """Tell whether requests can be served; each check has its own deadline."""
    resources = resources_of(request)
    database, providers, redis = await asyncio.gather(
        _check_database(resources), _check_providers(resources), _check_redis(resources)
    )
    status: Literal["ok", "degraded", "down"] = "ok"
    if database == "down":
        status = "down"
    elif redis == "down" or providers != "ok":
        status = "degraded"
    response.status_code = 503 if status == "down" else 200
    response.headers["Cache-Control"] = "no-store"
    return Health(status=status, version=VERSION, checks={"database": database, "redis": redis, "providers": providers})


@router.get("/ping")
@public
async def ping(request: Request, response: Response) -> Pong:
    """Answer, and count that we did."""
    response.headers["Cache-Control"] = "no-store"
    count = await resources_of(request).catalog.count_ping()
    return Pong(count=count, timestamp=datetime.now(UTC).isoformat())


@router.get("/models/providers")
@router.get("/v1/providers")
@public
async def list_providers(request: Request, response: Response) -> ProviderList:
    """List the providers behind the gateway and how they did in the last hour."""
    resources = resources_of(request)
    models, health = await asyncio.gather(resources.catalog.list_models(), resources.health.read())
    response.headers["Cache-Control"] = CACHE_CONTROL
    shown = [provider for provider in PROVIDERS.values() if provider.slug != SIMULATED.slug]
    records = health.providers
    return ProviderList(data=[provider_view(provider, models, records.get(provider.slug)) for provider in shown])


class ModelFilter(BaseModel):
    """The query of GET /models."""

    provider: Annotated[str | None, Field(max_length=40)] = None
    modality: Annotated[str | None, Field(max_length=20)] = None
    free: bool | None = None
    q: Annotated[str | None, Field(max_length=100)] = None
    limit: Annotated[int, Field(ge=1, le=10_000)] = 10_000
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0

    def lets_pass(self, model: Model) -> bool:
        """Tell whether the model is asked for."""
        text = " ".join((model.id, model.name, model.description, *model.aliases)).lower()
        return (
            (self.provider is None or any(offer.provider == self.provider for offer in model.offers))
            and (self.modality is None or self.modality in (*model.input_modalities, *model.output_modalities))
            and (self.free is None or model.is_free == self.free)
            and (self.q is None or self.q.lower() in text)
        )


@router.get("/models")
@router.get("/v1/models")
@public
async def list_models(request: Request, response: Response, wanted: Annotated[ModelFilter, Query()]) -> ModelList:
    """List the models that can be called, filtered."""
    models = await resources_of(request).catalog.list_models()
    found = [model for model in models if wanted.lets_pass(model)]
    page = found[wanted.offset : wanted.offset + wanted.limit]
    response.headers["Cache-Control"] = CACHE_CONTROL
    return ModelList(
        data=[model_view(model) for model in page],
        has_more=wanted.offset + len(page) < len(found),
        total=len(found),
    )


@router.get("/models/{model_id:path}")
@router.get("/v1/models/{model_id:path}")
@public
async def read_model(request: Request, response: Response, model_id: str) -> ModelDetail:
    """Show one model, asked for by any of its names, with each provider's offer."""
    resources = resources_of(request)
    model = _find(await resources.catalog.list_models(), model_id)
    health = await resources.health.read(model.id)
    response.headers["Cache-Control"] = CACHE_CONTROL
    return model_detail(model, health)


def _find(models: tuple[Model, ...], name: str) -> Model:
    for model in models:
        # A name is never the id of another model.
        if name == model.id or name in model.aliases:
            return model
    raise UnknownModel("This model does not exist. GET /v1/models lists those that do.", param="model")


async def _check_database(resources: CatalogResources) -> Literal["ok", "down"]:
    try:
        await resources.catalog.check_database()
    except StoreUnavailable:
        return "down"
    return "ok"


async def _check_providers(resources: CatalogResources) -> Literal["ok", "degraded", "down"]:
    """Judge the providers that were asked in the last hour; where nothing is known of them, nothing is said."""
    statuses = {provider_status(record) for record in (await resources.health.read()).providers.values()}
    if statuses <= {"healthy"}:
        return "ok"
    return "down" if statuses == {"down"} else "degraded"


async def _check_redis(resources: CatalogResources) -> Literal["ok", "down"]:
    try:
        await resources.redis.ping()
    except RedisUnavailable:
        return "down"
    return "ok"
