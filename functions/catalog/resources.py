"""What the catalog function builds once and its routes use."""

import msgspec
from starlette.requests import Request

from functions.catalog.manual import Manual
from shared.catalog.store import Catalog
from shared.clients.upstash import UpstashRedis
from shared.ranking.store import Rankings
from shared.routing.records import HealthRecords
from shared.web.resources import kept_resources


class CatalogResources(msgspec.Struct, frozen=True):
    """The catalog's stores, and the manual."""

    catalog: Catalog
    rankings: Rankings
    health: HealthRecords
    redis: UpstashRedis
    manual: Manual


def resources_of(request: Request) -> CatalogResources:
    """Return what the lifespan built."""
    return kept_resources(request.app, CatalogResources)
