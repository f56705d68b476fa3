"""What an account used and paid, a page or some days at a time."""

from datetime import timedelta

import msgspec

from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.verdicts import Refused
from shared.usage.types import Activity, ActivityFilter, Days, TransactionFilter, Transactions, Usage


class Counted(msgspec.Struct, frozen=True):
    """How many a job has done."""

    count: int


class UsageBooks:
    """The lines of one database, each read by a key of the account that they are of.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261103000450_transactions.sql, …460_activity.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_transactions(
        self, caller: Caller, chosen: TransactionFilter, *, limit: int
    ) -> Transactions | Refused:
        """Return a page of ledger lines.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "list_transactions",
            {
                "p_caller": caller.to_json(),
                "p_limit": limit,
                "p_before": chosen.before,
                "p_kinds": None if chosen.kinds is None else list(chosen.kinds),
                "p_from": None if chosen.from_at is None else chosen.from_at.isoformat(),
                "p_to": None if chosen.to_at is None else chosen.to_at.isoformat(),
            },
            Transactions | Refused,  # type: ignore[arg-type]
        )

    async def list_activity(self, caller: Caller, chosen: ActivityFilter, *, limit: int) -> Activity | Refused:
        """Return a page of requests.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "list_activity",
            {"p_caller": caller.to_json(), "p_filter": msgspec.to_builtins(chosen), "p_limit": limit},
            Activity | Refused,  # type: ignore[arg-type]
        )

    async def read_usage(self, caller: Caller, days: Days) -> Usage | Refused:
        """Return the sums of some days.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "read_usage",
            {
                "p_caller": caller.to_json(),
                "p_from": days.first.isoformat(),
                "p_to": (days.last + timedelta(days=1)).isoformat(),
            },
            Usage | Refused,  # type: ignore[arg-type]
        )

    async def close_days(self) -> Counted:
        """Say of some accounts that no line of a day before today can come any more.

        raises  StoreUnavailable
        """
        return await self._database.call("close_usage_days", {}, Counted)

    async def roll_up(self) -> Counted:
        """Sum the closed days of some accounts.

        raises  StoreUnavailable
        """
        return await self._database.call("roll_up_usage", {}, Counted)
