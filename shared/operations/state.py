"""What goes on, and what is stopped: switches, the monitor, what was given up, the log and the books."""

from collections.abc import Mapping
from typing import Any

import msgspec

from shared.clients.database import Argument, Database
from shared.core.admin import Admin
from shared.core.ids import AccountId
from shared.core.verdicts import Refused
from shared.operations.state_types import (
    AuditFilter,
    AuditTold,
    LedgerCheckTold,
    LetterFilter,
    LettersTold,
    LetterTold,
    LossAlarm,
    MonitorTold,
    SwitchesTold,
)

# Longer than the database gives itself for what adds up more than a page.
SLOW_DEADLINE_S = 26.0


class OperatedState:
    """One database as whoever operates it sees it.

    slow: the same one, waited for as long as large sums take
    policy  closed: StoreUnavailable whenever the store does not answer as it must; with a receipt a retry is safe
    source  infra/supabase/migrations/20261106000410_switches.sql, …460_admin_dead_letters.sql to …480_monitor.sql
    """

    def __init__(self, database: Database, slow: Database) -> None:
        self._database = database
        self._slow = slow

    async def read_switches(self, admin: Admin) -> SwitchesTold | Refused:
        """Tell what is stopped.

        raises  StoreUnavailable
        """
        answer: type[SwitchesTold | Refused] = SwitchesTold | Refused  # type: ignore[assignment]
        return await self._database.call("read_switches", {"p_admin": admin.to_json()}, answer)

    async def set_switches(
        self, admin: Admin, changes: Mapping[str, Any], receipt: Mapping[str, Any]
    ) -> SwitchesTold | Refused:
        """Stop, or let go on; what is not named stays.

        raises  StoreUnavailable
        """
        answer: type[SwitchesTold | Refused] = SwitchesTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {"p_admin": admin.to_json(), "p_changes": changes, "p_receipt": receipt}
        return await self._database.call("set_switches", arguments, answer)

    async def read_monitor(self, admin: Admin, start: str | None, end: str | None) -> MonitorTold | Refused:
        """Tell what went on between two moments, the last hour where none is named.

        raises  StoreUnavailable
        """
        answer: type[MonitorTold | Refused] = MonitorTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {"p_admin": admin.to_json(), "p_from": start, "p_to": end}
        return await self._slow.call("read_monitor", arguments, answer)

    async def list_letters(
        self, admin: Admin, chosen: LetterFilter, *, limit: int, before: int | None
    ) -> LettersTold | Refused:
        """Return a page of what was given up, newest first.

        raises  StoreUnavailable
        """
        answer: type[LettersTold | Refused] = LettersTold | Refused  # type: ignore[assignment]
        return await self._database.call("list_dead_letters", _page(admin, chosen, limit, before), answer)

    async def read_letter(self, admin: Admin, letter_id: int, receipt: Mapping[str, Any]) -> LetterTold | Refused:
        """Tell of one of them, or what its retry by this receipt was answered before.

        raises  StoreUnavailable
        """
        answer: type[LetterTold | Refused] = LetterTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {"p_admin": admin.to_json(), "p_letter_id": letter_id, "p_receipt": receipt}
        return await self._database.call("read_dead_letter", arguments, answer)

    async def retry_letter(self, admin: Admin, letter_id: int, receipt: Mapping[str, Any]) -> LetterTold | Refused:
        """Have one tried again by its own job, and take it for resolved.

        raises  StoreUnavailable
        """
        answer: type[LetterTold | Refused] = LetterTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {"p_admin": admin.to_json(), "p_letter_id": letter_id, "p_receipt": receipt}
        return await self._database.call("retry_dead_letter", arguments, answer)

    async def list_audit(
        self, admin: Admin, chosen: AuditFilter, *, limit: int, before: int | None
    ) -> AuditTold | Refused:
        """Return a page of the audit log, newest first.

        raises  StoreUnavailable
        """
        answer: type[AuditTold | Refused] = AuditTold | Refused  # type: ignore[assignment]
        return await self._slow.call("list_audit", _page(admin, chosen, limit, before), answer)

    async def check_ledger(self, admin: Admin, account_id: AccountId | None) -> LedgerCheckTold | Refused:
        """Add the books up anew, of one account or of all.

        raises  StoreUnavailable, also where that takes longer than a request may
        """
        answer: type[LedgerCheckTold | Refused] = LedgerCheckTold | Refused  # type: ignore[assignment]
        arguments: dict[str, Argument] = {"p_admin": admin.to_json(), "p_account_id": account_id}
        return await self._slow.call("check_ledger", arguments, answer)


class LossWatch:
    """Tells once that the house loses more than it may.

    policy  closed: StoreUnavailable whenever the store does not answer as it must
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take_alarm(self) -> LossAlarm:
        """Tell whether somebody is to be told; whoever is told that he is, tells.

        raises  StoreUnavailable; after that nobody may be told, and the switches tell all the same
        """
        return await self._database.call("take_loss_alarm", {}, LossAlarm)


def _page(admin: Admin, chosen: msgspec.Struct, limit: int, before: int | None) -> dict[str, Any]:
    return {
        "p_admin": admin.to_json(),
        "p_filter": msgspec.structs.asdict(chosen),
        "p_limit": limit,
        "p_before": before,
    }
