"""What the books say where they are compared with Stripe's: one call to the database each."""

from collections.abc import Sequence

import msgspec

from shared.clients.database import Argument, Database

PAGE = 1000
# A million payments in a week is another product.
MOST_PAGES = 1000


class _Kept(msgspec.Struct, frozen=True):
    """A dead letter is written; what is told of it matters to nobody here."""


class Reconciliation:
    """The payments and subscriptions of one database, to be compared.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000360_reconciliation.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def differing_payments(self, listed: Sequence[msgspec.Struct]) -> tuple[str, ...]:
        """Return which of these payments at Stripe the books tell otherwise, or do not know though they succeeded.

        shape   listed: the fields of gateway.payment_listed; one that is left out is not compared
        raises  StoreUnavailable
        """
        return await self._differing("differing_payments", "p_payments", listed)

    async def differing_subscriptions(self, listed: Sequence[msgspec.Struct]) -> tuple[str, ...]:
        """Return which of these subscriptions at Stripe the books tell otherwise, or do not know.

        shape   listed: the fields of gateway.subscription_listed
        raises  StoreUnavailable
        """
        return await self._differing("differing_subscriptions", "p_subscriptions", listed)

    async def undecided_payments(self) -> tuple[str, ...]:
        """Return the payments that the books hold to be under way, or in a dispute that is undecided.

        raises  StoreUnavailable
        """
        return await self._all("undecided_payments", {})

    async def payments_since(self, created_at: int) -> tuple[str, ...]:
        """Return the payments that the books have got to know since a time (unix seconds).

        raises  StoreUnavailable
        """
        return await self._all("payments_since", {"p_since": created_at})

    async def live_subscriptions(self) -> tuple[str, ...]:
        """Return the subscriptions that the books hold to go on.

        raises  StoreUnavailable
        """
        return await self._all("live_subscriptions", {})

    async def lay_aside(self, payment_id: str, reason: str) -> None:
        """Keep a payment for a person to look at.

        raises  StoreUnavailable
        """
        letter: dict[str, Argument] = {
            "p_kind": "payment",
            "p_subject": payment_id,
            "p_payload": {},
            "p_reason": reason,
            "p_tries": 1,
        }
        await self._database.call("add_dead_letter", letter, _Kept)

    async def _differing(self, function: str, argument: str, listed: Sequence[msgspec.Struct]) -> tuple[str, ...]:
        rows = [msgspec.to_builtins(each) for each in listed]
        return await self._database.call(function, {argument: rows}, tuple[str, ...])

    async def _all(self, function: str, arguments: dict[str, int]) -> tuple[str, ...]:
        names: tuple[str, ...] = ()
        for _ in range(MOST_PAGES):
            page: dict[str, Argument] = {**arguments, "p_after": names[-1] if names else "", "p_limit": PAGE}
            found = await self._database.call(function, page, tuple[str, ...])
            names += found
            if len(found) < PAGE:
                break
        return names
