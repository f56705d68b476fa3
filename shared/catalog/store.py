"""The catalog as the database keeps it."""

import msgspec

from shared.catalog.types import Model, ProviderRecord
from shared.clients.supabase import Supabase
from shared.core.errors import StoreUnavailable


class Catalog:
    """Models, offers and what became of our calls to providers.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    """

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def list_models(self) -> tuple[Model, ...]:
        """Return every routable model, by id.

        raises  StoreUnavailable
        """
        return _convert(await self._supabase.call("list_models"), tuple[Model, ...])

    async def provider_health(self) -> dict[str, ProviderRecord]:
        """Return how each provider that we called in the last hour answered.

        raises  StoreUnavailable
        """
        return _convert(await self._supabase.call("provider_health"), dict[str, ProviderRecord])

    async def count_ping(self) -> int:
        """Count a ping and return how many there have been.

        raises  StoreUnavailable
        """
        return _convert(await self._supabase.call("count_ping"), int)


def _convert[T](answer: object, shape: type[T]) -> T:
    try:
        return msgspec.convert(answer, shape)
    except msgspec.ValidationError as error:
        raise StoreUnavailable("database") from error
