"""The catalog as the jobs write it, over the session that they share."""

from collections.abc import Sequence

import msgspec

from shared.catalog.matching import CatalogBase, OfferedModel
from shared.clients.database import Database
from shared.core.ids import ProviderSlug


class Synced(msgspec.Struct, frozen=True, tag_field="verdict", tag="synced"):
    """What a list has changed, in offers; pending: whose price has jumped and waits for someone."""

    added: int
    changed: int
    retired: int
    returned: int
    pending: int
    unchanged: int


class ListWaits(msgspec.Struct, frozen=True, tag_field="verdict", tag="waiting"):
    """The list missed, or added, more than is believed: nothing was changed.

    missing: of those that are offered; added: that were never offered
    """

    listed: int
    missing: int
    offered: int
    added: int


class CatalogBooks:
    """Providers' lists in the store; every call may be made again.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_base(self, provider: ProviderSlug) -> CatalogBase:
        """Return what the provider's list is read against.

        raises  StoreUnavailable
        """
        return await self._database.call("read_catalog_base", {"p_provider": provider}, CatalogBase)

    async def sync(self, provider: ProviderSlug, offered: Sequence[OfferedModel]) -> Synced | ListWaits:
        """Make what the provider lists what we offer of it.

        raises  StoreUnavailable; a retry is safe
        """
        return await self._database.call(
            "sync_listing",
            {"p_provider": provider, "p_listings": offered},
            Synced | ListWaits,  # type: ignore[arg-type]  # a union is a type to msgspec, not yet to mypy
        )
