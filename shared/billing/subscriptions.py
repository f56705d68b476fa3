"""Subscriptions: what Stripe says of them is posted here, and what follows with time; one call to the database each."""

from collections.abc import Mapping

import msgspec

from shared.clients.database import Database
from shared.core.ids import AccountId


class SubscriptionPosted(msgspec.Struct, frozen=True, tag_field="verdict", tag="posted"):
    """It is taken over. fingerprints: what the limiter has to forget; mails: somebody was written to."""

    account_id: AccountId
    plan_id: str
    fingerprints: tuple[str, ...]
    mails: bool


class SubscriptionEnded(msgspec.Struct, frozen=True, tag_field="verdict", tag="cancel_due"):
    """Its account is deleted: where it is live it has to end at Stripe, and what gave nothing has to be paid back."""

    account_id: AccountId
    is_live: bool
    payment_ids: tuple[str, ...]


class SubscriptionUnowned(msgspec.Struct, frozen=True, tag_field="verdict", tag="unowned"):
    """Nobody here is this customer; it is laid aside for a person to look at."""

    customer_id: str


class SubscriptionUnpriced(msgspec.Struct, frozen=True, tag_field="verdict", tag="unpriced"):
    """No plan of ours has this price; it is laid aside likewise."""

    price_id: str


class SubscriptionSuperseded(msgspec.Struct, frozen=True, tag_field="verdict", tag="superseded"):
    """Something that was read later is posted already."""


SubscriptionAnswer = (
    SubscriptionPosted | SubscriptionEnded | SubscriptionUnowned | SubscriptionUnpriced | SubscriptionSuperseded
)


class GracesEnded(msgspec.Struct, frozen=True):
    """How many accounts' grace was over, and what the limiter has to forget."""

    count: int
    fingerprints: tuple[str, ...]


class Subscriptions:
    """The subscriptions of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000300_subscriptions.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def post(self, claim: int, subscription: Mapping[str, object]) -> SubscriptionAnswer:
        """Take over what Stripe says of a subscription now, as it was read after claiming.

        raises  StoreUnavailable
        """
        answer: type[SubscriptionAnswer] = SubscriptionAnswer  # type: ignore[assignment]
        return await self._database.call(
            "post_subscription", {"p_claim": claim, "p_subscription": subscription}, answer
        )

    async def end_graces(self, limit: int) -> GracesEnded:
        """Take their plan from accounts whose payment has failed for too long.

        raises  StoreUnavailable
        """
        return await self._database.call("end_graces", {"p_limit": limit}, GracesEnded)

    async def due_cancellations(self, limit: int) -> tuple[str, ...]:
        """Tell which subscriptions go on at Stripe although their account is deleted.

        raises  StoreUnavailable
        """
        return await self._database.call("due_cancellations", {"p_limit": limit}, tuple[str, ...])
