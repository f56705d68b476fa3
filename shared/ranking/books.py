"""The sums that a ranking is made of, for the job that makes it."""

from collections.abc import Sequence

import msgspec

from shared.clients.database import Database
from shared.providers.openrouter_rankings import DailyTokens
from shared.ranking.types import Counted, HoursSummed, Period, Source, Subject


class RankingBooks:
    """The sums of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261106000210_usage_hours.sql, …220_rankings.sql, …230_imported_rankings.sql,
            …240_app_erasure.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def sum_hours(self) -> HoursSummed:
        """Sum some hours of usage that are not summed yet.

        raises  StoreUnavailable
        """
        return await self._database.call("sum_usage_hours", {}, HoursSummed)

    async def rank(self, subject: Subject, period: Period) -> Counted:
        """Make one ranking of what is summed.

        raises  StoreUnavailable
        """
        return await self._database.call("rank_usage", {"p_subject": subject, "p_period": period}, Counted)

    async def erase_apps(self) -> Counted:
        """Take the apps from some usage lines of deleted accounts.

        raises  StoreUnavailable
        """
        return await self._database.call("erase_apps", {}, Counted)

    async def import_days(self, source: Source, days: Sequence[DailyTokens], as_of: str) -> Counted:
        """Take over what a source tells of its own usage, and rank that by itself.

        raises  StoreUnavailable
        """
        arguments = {"p_source": source, "p_days": msgspec.to_builtins(days), "p_as_of": as_of}
        return await self._database.call("import_model_days", arguments, Counted)
