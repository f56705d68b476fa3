"""/admin/models and /admin/providers: what is sold, by whom, and for how much."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.admin import descriptions
from functions.admin.queries import read_catalog_filter
from functions.admin.resources import ask, change, enter
from functions.admin.sale_bodies import read_model_changes, read_model_id, read_provider_changes, read_slug
from functions.admin.sale_views import model_view, provider_view
from shared.web.access import requires_admin
from shared.web.answers import json_answer
from shared.web.json_body import read_json_object
from shared.web.pagination import list_answer, read_page, write_cursor

router = APIRouter()


@router.get("/admin/models", openapi_extra=descriptions.MODELS, response_class=Response)
@requires_admin
async def list_models(request: Request) -> Response:
    """List models by their ids, those that nobody can ask too."""
    resources, admin = await enter(request)
    page, chosen = read_page(request), read_catalog_filter(request)
    told = await ask(
        request,
        admin,
        lambda: resources.catalog.list(admin, chosen, limit=page.limit + 1, after=page.after),
    )
    shown = told.models[: page.limit]
    cursor = write_cursor(shown[-1].id) if len(told.models) > page.limit else None
    return json_answer(list_answer([model_view(model) for model in shown], cursor))


@router.patch("/admin/models/{model_id:path}", openapi_extra=descriptions.CHANGE_MODEL, response_class=Response)
@requires_admin
async def change_model(request: Request) -> Response:
    """Change a model, or one of its offers: whether it is sold, and for how much."""
    resources, admin = await enter(request)
    model_id = read_model_id(request.path_params["model_id"])
    changes = read_model_changes(await read_json_object(request))
    told = await change(
        request, admin, lambda receipt: resources.catalog.update_model(admin, model_id, changes, receipt.to_json())
    )
    return json_answer(model_view(told.model))


@router.get("/admin/providers", openapi_extra=descriptions.PROVIDERS, response_class=Response)
@requires_admin
async def list_providers(request: Request) -> Response:
    """List every provider: there are never more than fit on a page."""
    resources, admin = await enter(request)
    told = await ask(request, admin, lambda: resources.catalog.list_sellers(admin))
    return json_answer(list_answer([provider_view(seller) for seller in told.providers], None))


@router.patch("/admin/providers/{slug}", openapi_extra=descriptions.CHANGE_PROVIDER, response_class=Response)
@requires_admin
async def change_provider(request: Request) -> Response:
    """Change all that a provider offers: whether it is asked, and its markup."""
    resources, admin = await enter(request)
    slug = read_slug(request.path_params["slug"])
    changes = read_provider_changes(await read_json_object(request))
    told = await change(
        request, admin, lambda receipt: resources.catalog.update_seller(admin, slug, changes, receipt.to_json())
    )
    return json_answer(provider_view(told.provider))
