"""What an owner may read and change of his account: one call to the database each."""

from collections.abc import Mapping

from shared.accounts.types import (
    AccountBalance,
    AccountLimits,
    Deleted,
    EmailPreferences,
    Person,
    Profile,
)
from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.verdicts import Refused


class Accounts:
    """The accounts of one database, each reached by a key of its own.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261103000400_account.sql and 20261104000480_account_end.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read_balance(self, caller: Caller) -> AccountBalance | Refused:
        """Bring the wallet to the present and tell what is in it.

        raises  StoreUnavailable
        """
        return await self._ask("read_account_balance", caller, AccountBalance | Refused)  # type: ignore[arg-type]

    async def read_profile(self, caller: Caller) -> Profile | Refused:
        """Tell who the owner is.

        raises  StoreUnavailable
        """
        return await self._ask("read_profile", caller, Profile | Refused)  # type: ignore[arg-type]

    async def update_profile(self, caller: Caller, changes: Mapping[str, object]) -> Profile | Refused:
        """Change what is given: name, preferences, is_zero_retention; a preference that is None goes.

        raises  StoreUnavailable
        """
        answer: type[Profile | Refused] = Profile | Refused  # type: ignore[assignment]
        return await self._database.call(
            "update_profile", {"p_caller": caller.to_json(), "p_changes": dict(changes)}, answer
        )

    async def read_email_preferences(self, caller: Caller) -> EmailPreferences | Refused:
        """Tell which e-mails the owner wants.

        raises  StoreUnavailable
        """
        return await self._ask("read_email_preferences", caller, EmailPreferences | Refused)  # type: ignore[arg-type]

    async def update_email_preferences(
        self, caller: Caller, changes: Mapping[str, object]
    ) -> EmailPreferences | Refused:
        """Change what is given: emails by kind, low_balance_threshold_nanos.

        raises  StoreUnavailable
        """
        answer: type[EmailPreferences | Refused] = EmailPreferences | Refused  # type: ignore[assignment]
        return await self._database.call(
            "update_email_preferences", {"p_caller": caller.to_json(), "p_changes": dict(changes)}, answer
        )

    async def read_limits(self, caller: Caller) -> AccountLimits | Refused:
        """Tell what plan and key allow beyond a minute, and what of it is used.

        raises  StoreUnavailable
        """
        return await self._ask("read_limits", caller, AccountLimits | Refused)  # type: ignore[arg-type]

    async def read_person(self, caller: Caller) -> Person | Refused:
        """Tell whose account it is.

        raises  StoreUnavailable
        """
        return await self._ask("read_person", caller, Person | Refused)  # type: ignore[arg-type]

    async def delete_account(self, caller: Caller) -> Deleted | Refused:
        """End the account: its keys, what says whose it is, what is kept of answers. The ledger stays.

        raises  StoreUnavailable; a second call finds no key any more and is refused as unknown
        """
        return await self._ask("delete_account", caller, Deleted | Refused)  # type: ignore[arg-type]

    async def _ask[Answer](self, function: str, caller: Caller, answer: type[Answer]) -> Answer:
        return await self._database.call(function, {"p_caller": caller.to_json()}, answer)
