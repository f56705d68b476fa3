"""The catalog as the database keeps it."""

import msgspec

from shared.catalog.types import Model
from shared.clients.supabase import Supabase
from shared.core.errors import StoreUnavailable


class Catalog:
    """Models and their offers.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    """

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def list_models(self) -> tuple[Model, ...]:
        """Return every routable model, by id.

        raises  StoreUnavailable
        """
        return _convert(await self._supabase.call("list_models"), tuple[Model, ...])

    async def check_database(self) -> None:
        """Have the database answer, and nothing else.

        raises  StoreUnavailable
        """
        _convert(await self._supabase.call("is_answering"), bool)

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
