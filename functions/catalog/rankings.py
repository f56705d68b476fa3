"""GET /ranking/models and /ranking/apps: what is used most."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, Field
from starlette.requests import Request

from functions.catalog.resources import resources_of
from shared.providers.openrouter_rankings import CITATION
from shared.ranking.types import Period, Place, Ranking, Source, TrendDirection
from shared.web.access import public

router = APIRouter()

# It is made once an hour.
CACHE_CONTROL = "public, max-age=300, s-maxage=300"
MAX_LIMIT = 100
_AS_TOLD = ("rank", "tokens", "requests", "share", "trend_percent", "trend_direction")


class Page(BaseModel):
    """Which places of which ranking are asked for."""

    period: Period = "week"
    limit: Annotated[int, Field(ge=1, le=MAX_LIMIT)] = 50
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0


class ModelPage(Page):
    """The query of GET /ranking/models; source: whose usage is meant."""

    source: Source = "gateway"


class RankedView(BaseModel):
    """A place; share: of all tokens of the period, 0 to 1; trend: against as long before, null for what is new."""

    rank: int
    tokens: int
    requests: int | None
    share: float
    trend_percent: float | None
    trend_direction: TrendDirection
    period: Period


class RankedModel(RankedView):
    """A model's place."""

    model: str
    author: str


class RankedApp(RankedView):
    """An app's place."""

    app: str
    title: str | None


class RankingView(BaseModel):
    """Some places of a ranking; updated_at: until when its numbers go, null while there are none."""

    object: Literal["list"] = "list"
    period: Period
    source: Source
    updated_at: str | None
    has_more: bool
    total: int


class ModelRanking(RankingView):
    """GET /ranking/models; citation: to be shown with another's numbers."""

    data: list[RankedModel]
    citation: str | None


class AppRanking(RankingView):
    """GET /ranking/apps."""

    data: list[RankedApp]


@router.get("/ranking/models")
@public
async def rank_models(request: Request, response: Response, page: Annotated[ModelPage, Query()]) -> ModelRanking:
    """Rank the models by the tokens of the last day, week or month."""
    rankings = resources_of(request).rankings
    ranking = await rankings.read("models", page.period, source=page.source, limit=page.limit, offset=page.offset)
    response.headers["Cache-Control"] = CACHE_CONTROL
    return ModelRanking(
        period=page.period,
        source=page.source,
        updated_at=ranking.updated_at,
        has_more=_has_more(page, ranking),
        total=ranking.total,
        data=[_ranked_model(place, page.period) for place in ranking.places],
        citation=_citation(page.source, ranking),
    )


@router.get("/ranking/apps")
@public
async def rank_apps(request: Request, response: Response, page: Annotated[Page, Query()]) -> AppRanking:
    """Rank the apps whose keys let them be public by the tokens of the last day, week or month."""
    rankings = resources_of(request).rankings
    ranking = await rankings.read("apps", page.period, source="gateway", limit=page.limit, offset=page.offset)
    response.headers["Cache-Control"] = CACHE_CONTROL
    return AppRanking(
        period=page.period,
        source="gateway",
        updated_at=ranking.updated_at,
        has_more=_has_more(page, ranking),
        total=ranking.total,
        data=[_ranked_app(place, page.period) for place in ranking.places],
    )


def _has_more(page: Page, ranking: Ranking) -> bool:
    return page.offset + len(ranking.places) < ranking.total if ranking.places else False


def _citation(source: Source, ranking: Ranking) -> str | None:
    if source == "gateway" or ranking.updated_at is None:
        return None
    return CITATION.format(as_of=ranking.updated_at)


def _ranked_model(place: Place, period: Period) -> RankedModel:
    return RankedModel(model=place.name, author=place.name.split("/", 1)[0], **_shown(place), period=period)


def _ranked_app(place: Place, period: Period) -> RankedApp:
    return RankedApp(app=place.name, title=place.title, **_shown(place), period=period)


def _shown(place: Place) -> dict[str, Any]:
    return {name: getattr(place, name) for name in _AS_TOLD}
