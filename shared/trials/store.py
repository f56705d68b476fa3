"""Trials: one call to the database each."""

from typing import Any

import msgspec

from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.ids import AccountId
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.trials.types import KnownPerson, PersonChanged, TrialClosed, TrialTold


class Trials:
    """The trials of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000400_trials.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def start(self, caller: Caller, person: KnownPerson, receipt: Receipt) -> TrialTold | PersonChanged | Refused:
        """Give the owner of the caller's account his trial, once in his life.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "start_trial",
            {"p_caller": caller.to_json(), "p_person": person_json(person), "p_receipt": receipt.to_json()},
            TrialTold | PersonChanged | Refused,  # type: ignore[arg-type]  # a union is a type to msgspec, not yet to mypy
        )

    async def read(self, caller: Caller) -> TrialTold | Refused:
        """Tell of the account's trial.

        raises  StoreUnavailable
        """
        answer: type[TrialTold | Refused] = TrialTold | Refused  # type: ignore[assignment]
        return await self._database.call("read_trial", {"p_caller": caller.to_json()}, answer)

    async def find_due(self) -> tuple[AccountId, ...]:
        """Return accounts whose trial ends soon or has ended, and who were not told: the hundred that are due longest.

        raises  StoreUnavailable
        """
        return await self._database.call("due_trials", {}, tuple[AccountId, ...])

    async def expire(self, account_id: AccountId) -> TrialClosed:
        """Close an account's trial that is over, or write its owner that it soon will be.

        raises  StoreUnavailable
        """
        return await self._database.call("expire_trial", {"p_account_id": account_id}, TrialClosed)


def person_json(person: KnownPerson) -> dict[str, Any]:
    """Say who it is as the SQL functions take it, as p_person."""
    said: dict[str, Any] = msgspec.to_builtins(person)
    return said
