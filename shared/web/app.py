"""How every function's application is made: its routes, its errors, its middleware and its readiness."""

from fastapi import APIRouter, FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from shared.web.errors import install_error_handlers
from shared.web.middleware import BodyLimit, RequestContext
from shared.web.openapi import REFUSALS
from shared.web.under_way import Lifespan, RequestsUnderWay

# What a page may read of our answers; without this a browser hides it.
EXPOSED_HEADERS = [
    "X-Request-Id",
    "X-Generation-Id",
    "X-Provider",
    "Idempotent-Replayed",
    "Retry-After",
    "x-should-retry",
    *(
        f"x-ratelimit-{what}-{measure}"
        for measure in ("requests", "tokens")
        for what in ("limit", "remaining", "reset")
    ),
]


def create_app(group: str, router: APIRouter, lifespan: Lifespan) -> FastAPI:
    """Make the application of one endpoint group.

    Its settings are read and its clients opened by the lifespan, so that importing it has no effect and a function
    that lacks a setting refuses to start.
    """
    under_way = RequestsUnderWay()
    app = FastAPI(
        title=f"AI gateway: {group}",
        lifespan=under_way.lifespan(lifespan),
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        responses=REFUSALS,
    )
    app.include_router(router)
    # A route of Starlette's own: FastAPI would load pydantic.v1 to describe its answer.
    app.add_route("/healthz", _healthz, methods=["GET"], include_in_schema=False)
    install_error_handlers(app)
    app.add_middleware(BodyLimit)
    app.add_middleware(
        CORSMiddleware,
        # Who may use a key from where is the key's own setting, checked at admission; no cookie is ever read.
        allow_origins=["*"],
        allow_methods=["GET", "POST", "PUT", "PATCH", "DELETE"],
        allow_headers=["*"],
        expose_headers=EXPOSED_HEADERS,
        max_age=600,
    )
    app.add_middleware(RequestContext)
    app.add_middleware(under_way.middleware)
    return app


async def _healthz(_request: Request) -> Response:
    return JSONResponse({"status": "ready"})
