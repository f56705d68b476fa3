"""GET /openapi.json and GET /docs: the whole gateway described, and a page that shows it."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from functions.catalog.resources import resources_of
from shared.web.access import public

# It changes with a deployment alone.
CACHE_CONTROL = "public, max-age=300, s-maxage=300"

router = APIRouter()


@router.get("/openapi.json", include_in_schema=False)
@public
async def describe(request: Request) -> Response:
    """Describe every route of every function, as OpenAPI."""
    return Response(
        resources_of(request).manual.document, media_type="application/json", headers={"Cache-Control": CACHE_CONTROL}
    )


@router.get("/docs", include_in_schema=False)
@public
async def show(request: Request) -> Response:
    """Show that description to people."""
    manual = resources_of(request).manual
    headers = {
        "Cache-Control": CACHE_CONTROL,
        "Content-Security-Policy": manual.policy,
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
    return Response(manual.page, media_type="text/html", headers=headers)
