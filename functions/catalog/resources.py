"""What the catalog function builds once and its routes use."""

import msgspec
from starlette.requests import Request

from shared.catalog.store import Catalog
from shared.clients.upstash import UpstashRedis


class CatalogResources(msgspec.Struct, frozen=True):
    """The catalog's two stores."""

    catalog: Catalog
    redis: UpstashRedis


def resources_of(request: Request) -> CatalogResources:
    """Return what the lifespan built."""
    resources = request.app.state.resources
    assert isinstance(resources, CatalogResources)
    return resources
