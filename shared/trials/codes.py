"""Coupons and referrals: one call to the database each."""

from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.ids import AccountId
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.trials.store import person_json
from shared.trials.types import (
    KnownPerson,
    PersonChanged,
    RedemptionsTold,
    RedemptionTold,
    ReferralTold,
    Settled,
)


class Codes:
    """The coupons and referrals of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000450_codes.sql and 20261104000470_referrals.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def redeem(
        self, caller: Caller, code: str, person: KnownPerson, receipt: Receipt
    ) -> RedemptionTold | PersonChanged | Refused:
        """Give the caller's account what a coupon stands for, once to each person.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "redeem_coupon",
            {
                "p_caller": caller.to_json(),
                "p_code": code,
                "p_person": person_json(person),
                "p_receipt": receipt.to_json(),
            },
            RedemptionTold | PersonChanged | Refused,  # type: ignore[arg-type]
        )

    async def list_redemptions(self, caller: Caller, *, limit: int, before: int | None) -> RedemptionsTold | Refused:
        """Return what the account has redeemed, newest first, from before an id.

        raises  StoreUnavailable
        """
        answer: type[RedemptionsTold | Refused] = RedemptionsTold | Refused  # type: ignore[assignment]
        return await self._database.call(
            "list_redemptions", {"p_caller": caller.to_json(), "p_limit": limit, "p_before": before}, answer
        )

    async def read_referral(self, caller: Caller) -> ReferralTold | Refused:
        """Tell the account's own code, which is made at the first look, and what came of it.

        raises  StoreUnavailable
        """
        answer: type[ReferralTold | Refused] = ReferralTold | Refused  # type: ignore[assignment]
        return await self._database.call("read_referral", {"p_caller": caller.to_json()}, answer)

    async def apply_referral(
        self, caller: Caller, code: str, person: KnownPerson, receipt: Receipt
    ) -> ReferralTold | PersonChanged | Refused:
        """Write down by whose code the owner of the caller's account has come, once in his life.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "apply_referral",
            {
                "p_caller": caller.to_json(),
                "p_code": code,
                "p_person": person_json(person),
                "p_receipt": receipt.to_json(),
            },
            ReferralTold | PersonChanged | Refused,  # type: ignore[arg-type]
        )

    async def find_due_referrers(self, payment_id: str | None = None) -> tuple[AccountId, ...]:
        """Return a hundred accounts that have rewards to be settled: by this payment, or by any.

        raises  StoreUnavailable
        """
        return await self._database.call("due_referrers", {"p_payment_id": payment_id}, tuple[AccountId, ...])

    async def reward_referrer(self, account_id: AccountId) -> Settled:
        """Settle an account's rewards, of which one that is busy has none now.

        raises  StoreUnavailable
        """
        return await self._database.call("reward_referrer", {"p_account_id": account_id}, Settled)
