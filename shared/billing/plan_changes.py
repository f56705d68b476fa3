"""Orders of plans: an account's turn to change its plan, and what is to be done for an order; one call each."""

import uuid
from typing import Literal

import msgspec

from shared.billing.types import Interval
from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.ids import AccountId
from shared.core.verdicts import LimitsPolicy, Refused

# none: the account has what it ordered, or will have it; keep: what was to come is taken back.
PlanMove = Literal["none", "subscribe", "keep", "upgrade", "schedule", "cancel", "pay_first"]
OutcomeStatus = Literal["open", "changed", "scheduled", "payment_required"]


class CheckoutOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """What came of an order: of credits, which are always paid on a page, or of a plan.

    shape   url: where to pay, of open and payment_required; effective_at: of scheduled
    """

    status: OutcomeStatus
    amount_cents: int | None = None
    url: str | None = None
    expires_at: str | None = None
    effective_at: str | None = None


class TurnBegun(msgspec.Struct, frozen=True, tag_field="verdict", tag="begun"):
    """It is this holder's turn, until he gives it back or a minute has passed."""


class TurnTaken(msgspec.Struct, frozen=True, tag_field="verdict", tag="busy"):
    """Another request changes this account's plan."""


class TurnEnded(msgspec.Struct, frozen=True, tag_field="verdict", tag="ended"):
    """The order was carried out before."""

    outcome: CheckoutOutcome


class TurnGiven(msgspec.Struct, frozen=True):
    """superseded: it took too long, and another has the turn."""

    verdict: Literal["kept", "superseded"]


class Weighed(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be done at Stripe for an order, and with which subscription.

    comes_at: when what is ordered will be so; None where it is
    """

    move: PlanMove
    plan_id: str
    interval: Interval
    subscription_id: str | None
    comes_at: str | None


class PayerTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="payer"):
    """Who the caller's account is at Stripe, if it is anybody there yet; and what of it Stripe is told."""

    account_id: AccountId
    customer_id: str | None
    email: str | None
    policy: LimitsPolicy


class PlanChanges:
    """The orders of plans in one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000330_plan_changes.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, checkout_id: uuid.UUID, holder: uuid.UUID) -> TurnBegun | TurnTaken | TurnEnded:
        """Take the account's turn; the same holder takes it again."""
        return await self._database.call(
            "begin_plan_change",
            {"p_checkout_id": str(checkout_id), "p_holder": str(holder)},
            TurnBegun | TurnTaken | TurnEnded,  # type: ignore[arg-type]  # a union is a type to msgspec, not yet to mypy
        )

    async def end(self, checkout_id: uuid.UUID, holder: uuid.UUID, outcome: CheckoutOutcome | None) -> TurnGiven:
        """Give the turn back; without an outcome the order may be tried again."""
        told = None if outcome is None else msgspec.to_builtins(outcome)
        arguments = {"p_checkout_id": str(checkout_id), "p_holder": str(holder), "p_outcome": told}
        return await self._database.call("end_plan_change", arguments, TurnGiven)

    async def weigh(self, checkout_id: uuid.UUID) -> Weighed:
        """Tell what is to be done, by what is known of the subscription."""
        return await self._database.call("weigh_plan_change", {"p_checkout_id": str(checkout_id)}, Weighed)

    async def read_payer(self, caller: Caller) -> PayerTold | Refused:
        """Tell who the caller's account is at Stripe."""
        return await self._database.call(
            "read_payer",
            {"p_caller": caller.to_json()},
            PayerTold | Refused,  # type: ignore[arg-type]
        )
