"""Models, offers and providers as admins have them; one call to the database each."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.clients.database import Argument, Database
from shared.core.admin import Admin
from shared.core.ids import ModelId, ProviderSlug
from shared.core.verdicts import Refused
from shared.operations.catalog_types import CatalogFilter, CatalogTold, ModelTold, SellersTold, SellerTold


class AdminCatalog:
    """What is sold and for how much.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; with a receipt a retry is safe
    source  infra/supabase/migrations/20261106000450_admin_catalog.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(
        self, admin: Admin, chosen: CatalogFilter, *, limit: int, after: str | None
    ) -> CatalogTold | Refused:
        """Return a page of models by their ids, those that nobody can ask too.

        raises  StoreUnavailable
        """
        answer: type[CatalogTold | Refused] = CatalogTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {
            "p_admin": admin.to_json(),
            "p_filter": msgspec.structs.asdict(chosen),
            "p_limit": limit,
            "p_after": after,
        }
        return await self._database.call("list_catalog", arguments, answer)

    async def update_model(
        self, admin: Admin, model_id: ModelId, changes: Mapping[str, Any], receipt: Mapping[str, Any]
    ) -> ModelTold | Refused:
        """Change a model, or one of its offers.

        raises  StoreUnavailable
        """
        answer: type[ModelTold | Refused] = ModelTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {
            "p_admin": admin.to_json(),
            "p_model_id": model_id,
            "p_changes": changes,
            "p_receipt": receipt,
        }
        return await self._database.call("update_model", arguments, answer)

    async def list_sellers(self, admin: Admin) -> SellersTold | Refused:
        """Return every provider.

        raises  StoreUnavailable
        """
        answer: type[SellersTold | Refused] = SellersTold | Refused  # type: ignore[assignment]
        return await self._database.call("list_sellers", {"p_admin": admin.to_json()}, answer)

    async def update_seller(
        self, admin: Admin, provider: ProviderSlug, changes: Mapping[str, Any], receipt: Mapping[str, Any]
    ) -> SellerTold | Refused:
        """Change all that a provider offers.

        raises  StoreUnavailable
        """
        answer: type[SellerTold | Refused] = SellerTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {
            "p_admin": admin.to_json(),
            "p_provider": provider,
            "p_changes": changes,
            "p_receipt": receipt,
        }
        return await self._database.call("update_seller", arguments, answer)
