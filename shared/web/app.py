"""How every function's application is made: its routes, its errors, its middleware and its readiness."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.web.access import access_of, every_route, public
from shared.web.context import PathDialect
from shared.web.errors import install_error_handlers
from shared.web.middleware import BodyLimit, BugAnswer, RequestContext
from shared.web.openapi import REFUSALS, describe_access
from shared.web.refused import describe_refusals
from shared.web.request_metrics import RequestMetrics
from shared.web.under_way import Lifespan, RequestsUnderWay

# What a page may read of our answers; without this a browser hides it.
EXPOSED_HEADERS = [
    "X-Request-Id",
    "request-id",
    "X-Generation-Id",
    "X-Provider",
    "Idempotent-Replayed",
    "X-Next-Cursor",
    "Retry-After",
    "x-should-retry",
    *(
        f"x-ratelimit-{what}-{measure}"
        for measure in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    ),
]


class Application(FastAPI):
    """An application that describes who may call it beside what it answers."""

    def openapi(self) -> dict[str, Any]:
        """Return the description of every route."""
        if self.openapi_schema is None:
            description = super().openapi()
            describe_access(description, every_route(self.routes))
            describe_refusals(description, every_route(self.routes))
            self.openapi_schema = description
        return self.openapi_schema


def create_app(group: str, router: APIRouter, lifespan: Lifespan, dialects: Sequence[PathDialect] = ()) -> FastAPI:
    """Make the application of one endpoint group.

    Its settings are read and its clients opened by the lifespan, so that importing it has no effect and a function
    that lacks a setting refuses to start.

    dialects: of paths whose clients read refusals in another shape than OpenAI's
    raises  UndeclaredAccess when a route does not say who may call it
    """
    under_way = RequestsUnderWay()
    metrics = RequestMetrics()
    app = Application(
        title=f"AI gateway: {group}",
        lifespan=metrics.lifespan(under_way.lifespan(lifespan)),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        # To another spelling of the path, under the name and the scheme that the request came with: a client that
        # follows may send its key and its prompt once more, in the clear.
        redirect_slashes=False,
        responses=REFUSALS,
    )
    app.include_router(router)
    # A route of Starlette's own: FastAPI would load pydantic.v1 to describe its answer.
    app.add_route("/healthz", _healthz, methods=["GET"], include_in_schema=False)
    for route in every_route(app.routes):
        access_of(route)
    install_error_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(BugAnswer)
    app.add_middleware(
        CORSMiddleware,
        # Who may use a key from where is the key's own setting, checked at admission; no cookie is ever read.
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )
    app.add_middleware(RequestContext, dialects=dialects, metrics=metrics)
    app.add_middleware(under_way.middleware)
    return app


@public
async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ready"})
