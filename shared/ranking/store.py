"""The rankings as the database keeps them, for whoever shows them."""

import msgspec

from shared.clients.supabase import Supabase
from shared.core.errors import StoreUnavailable
from shared.ranking.types import Period, Ranking, Source, Subject


class Rankings:
    """The rankings of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    source  infra/supabase/migrations/20261106000220_rankings.sql
    """

    def __init__(self, supabase: Supabase) -> None:
        self._supabase = supabase

    async def read(self, subject: Subject, period: Period, *, source: Source, limit: int, offset: int) -> Ranking:
        """Return some places, from behind the offset on.

        raises  StoreUnavailable; a retry is safe
        """
        arguments = {
            "p_source": source,
            "p_subject": subject,
            "p_period": period,
            "p_limit": limit,
            "p_offset": offset,
        }
        told = await self._supabase.call("read_ranking", arguments)
        try:
            return msgspec.convert(told, Ranking)
        except msgspec.ValidationError as error:
            raise StoreUnavailable("database") from error
