"""The outbox: e-mails that the database has written down, until they are sent."""

import uuid
from typing import Literal

import msgspec

from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.ids import AccountId
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.notifications.links import Subscription
from shared.notifications.types import Mail, TestMail


class _Count(msgspec.Struct, frozen=True):
    count: int


class Taken(msgspec.Struct, frozen=True):
    """What was due: mails that are to be sent, and how many others were ended, since they are not to be any more."""

    mails: tuple[Mail, ...]
    ended: int


class _Retried(msgspec.Struct, frozen=True):
    state: Literal["waiting", "dead", "unchanged"]


class ReportsPut(msgspec.Struct, frozen=True):
    """How many reports were put into the outbox; next is where to go on, None at the end."""

    count: int
    next: int | None


class Outbox:
    """The outbox of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000500_mails.sql and 20261104000520_mail_causes.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, account_id: AccountId | None = None) -> Taken:
        """Take the mail that is due first, of one account or of all; for two minutes it is ours.

        Nothing is due where it is none and none was ended.

        raises  StoreUnavailable; a try that was taken and not heard of is taken again after the two minutes
        """
        return await self._database.call("take_due_mails", {"p_limit": 1, "p_account_id": account_id}, Taken)

    async def finish(self, mail_id: uuid.UUID, resend_id: str | None) -> None:
        """Write down that a mail was sent.

        raises  StoreUnavailable
        """
        await self._database.call("finish_mail", {"p_id": str(mail_id), "p_resend_id": resend_id}, _Count)

    async def retry(self, mail: Mail, *, after_s: int | None, reason: str, is_refused: bool) -> bool:
        """Write down that this try failed; return whether there will be another.

        after_s     None: there is no use in one
        is_refused  this try has certainly sent nothing

        raises  StoreUnavailable
        """
        told = await self._database.call(
            "retry_mail",
            {
                "p_id": str(mail.id),
                "p_try": mail.attempt,
                "p_after_s": after_s,
                "p_error": reason,
                "p_is_refused": is_refused,
            },
            _Retried,
        )
        return told.state != "dead"

    async def request_test(self, caller: Caller, receipt: Receipt) -> TestMail | Refused:
        """Put a test mail to the caller's account into the outbox, at most one a minute.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "request_test_mail",
            {"p_caller": caller.to_json(), "p_receipt": receipt.to_json()},
            TestMail | Refused,  # type: ignore[arg-type]
        )

    async def forget(self) -> int:
        """Erase what is three months old; return how many, at most a thousand.

        raises  StoreUnavailable
        """
        return (await self._database.call("forget_mails", {}, _Count)).count

    async def put_usage_reports(self, after: int) -> ReportsPut:
        """Put last month's report of the next hundred accounts into the outbox, once for each.

        raises  StoreUnavailable
        """
        return await self._database.call("put_usage_reports", {"p_after": after}, ReportsPut)

    async def record_bounce(self, address: str, kind: str) -> int:
        """Have nobody written to at this address; return how many accounts have it.

        raises  StoreUnavailable
        """
        arguments = {"p_address": address, "p_kind": kind}
        return (await self._database.call("record_bounce", arguments, _Count)).count

    async def unsubscribe(self, subscription: Subscription) -> None:
        """Switch one kind of mail off.

        raises  StoreUnavailable
        """
        arguments = {"p_account_id": subscription.account_id, "p_category": subscription.category}
        await self._database.call("unsubscribe", arguments, _Count)
