"""The fields by which every inference request says which models and which providers may serve it."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, StrictBool, Tag

from shared.core.ids import ProviderSlug
from shared.routing.types import DataCollection, Preferences, Sort

MAX_FALLBACKS = 8
MAX_PROVIDERS = 16

ModelName = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[!-~]+$")]
Slug = Annotated[str, Field(min_length=1, max_length=40, pattern=r"^[a-z0-9-]+$")]
Slugs = Annotated[list[Slug], Field(max_length=MAX_PROVIDERS)]


def _tag_provider(provider: object) -> str:
    return "(slug)" if isinstance(provider, str) else "(preferences)"


class ProviderPreferences(BaseModel):
    """Which providers may serve, and in which order they are tried."""

    model_config = ConfigDict(extra="forbid", strict=True)

    order: Slugs | None = None
    only: Slugs | None = None
    ignore: Slugs | None = None
    allow_fallbacks: StrictBool | None = None
    sort: Annotated[Sort | None, Field(strict=False)] = None
    data_collection: Annotated[DataCollection | None, Field(strict=False)] = None


ProviderField = Annotated[
    Annotated[Slug, Tag("(slug)")] | Annotated[ProviderPreferences, Tag("(preferences)")], Discriminator(_tag_provider)
]


def read_preferences(provider: str | ProviderPreferences | None) -> Preferences:
    """Read what a request says of its providers; a slug alone is the only one that may serve."""
    if provider is None:
        return Preferences()
    if isinstance(provider, str):
        return Preferences(only=(ProviderSlug(provider),))
    return Preferences(
        order=_slugs(provider.order),
        only=None if provider.only is None else _slugs(provider.only),
        ignore=_slugs(provider.ignore),
        allow_fallbacks=provider.allow_fallbacks is not False,
        sort=provider.sort or Sort.PRICE,
        data_collection=provider.data_collection or DataCollection.ALLOW,
    )


def _slugs(names: list[str] | None) -> tuple[ProviderSlug, ...]:
    return tuple(ProviderSlug(name) for name in names or ())
