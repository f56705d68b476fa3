"""Checkouts, payments and the inbox of Stripe's events: one call to the database each."""

import uuid
from collections.abc import Mapping, Sequence

import msgspec

from shared.billing.types import (
    ChosenCheckout,
    KeptCheckout,
    KeptCustomer,
    OpenedCheckout,
    OwnPayment,
    OwnPayments,
    PaymentPosted,
    PaymentSuperseded,
    PaymentUnowned,
    ReceivedEvent,
    RefundDue,
    UnhandledEvent,
)
from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.ids import AccountId
from shared.core.verdicts import Refused

PaymentAnswer = PaymentPosted | PaymentSuperseded | PaymentUnowned | RefundDue


class Counted(msgspec.Struct, frozen=True):
    """How many rows were changed."""

    count: int


class Payments:
    """The payments of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261104000200_payments.sql and those that follow it
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open_checkout(
        self, caller: Caller, chosen: ChosenCheckout, receipt: Mapping[str, object] | None
    ) -> OpenedCheckout | Refused:
        """Write down what somebody wants to buy; under the same receipt it is the same checkout.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "open_checkout",
            {"p_caller": caller.to_json(), "p_checkout": msgspec.to_builtins(chosen), "p_receipt": receipt},
            OpenedCheckout | Refused,  # type: ignore[arg-type]
        )

    async def keep_checkout(
        self, checkout_id: uuid.UUID, *, session_id: str, url: str, expires_at: str
    ) -> KeptCheckout:
        """Remember where a checkout is paid: the first session that is kept stays.

        raises  StoreUnavailable
        """
        kept = {"p_stripe_session_id": session_id, "p_url": url, "p_expires_at": expires_at}
        return await self._database.call("keep_checkout", {"p_checkout_id": str(checkout_id), **kept}, KeptCheckout)

    async def keep_customer(
        self, account_id: AccountId, customer_id: str, *, gone_id: str | None = None
    ) -> KeptCustomer:
        """Remember who an account is at Stripe, and return who that is: the first that is kept stays.

        gone_id: the one that is known and was deleted there; the new one is kept in its place
        raises   StoreUnavailable
        """
        return await self._database.call(
            "keep_customer",
            {"p_account_id": account_id, "p_customer_id": customer_id, "p_gone_id": gone_id},
            KeptCustomer,
        )

    async def claim_sync(self, object_id: str) -> int:
        """Return a number for what is about to be read of an object at Stripe: claim, read, post.

        raises  StoreUnavailable
        """
        return await self._database.call("claim_sync", {"p_object_id": object_id}, int)

    async def post_payment(self, claim: int, payment: Mapping[str, object]) -> PaymentAnswer:
        """Take over what Stripe says of a payment now; again, late or in another order comes to the same.

        shape   payment: gateway.payment_told
        raises  StoreUnavailable
        """
        return await self._database.call(
            "post_payment",
            {"p_claim": claim, "p_payment": payment},
            PaymentAnswer,  # type: ignore[arg-type]
        )

    async def due_refunds(self, *, limit: int) -> tuple[str, ...]:
        """Return the payments that came for deleted accounts and are not paid back yet.

        raises  StoreUnavailable
        """
        return await self._database.call("due_refunds", {"p_limit": limit}, tuple[str, ...])

    async def list_payments(self, caller: Caller, *, limit: int, after: str | None) -> OwnPayments | Refused:
        """Return a page of the caller's own payments, those older than the payment `after`.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "list_payments",
            {"p_caller": caller.to_json(), "p_limit": limit, "p_after": after},
            OwnPayments | Refused,  # type: ignore[arg-type]
        )

    async def read_payment(self, caller: Caller, payment_id: str) -> OwnPayment | Refused:
        """Return one of the caller's own payments.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "read_payment",
            {"p_caller": caller.to_json(), "p_id": payment_id},
            OwnPayment | Refused,  # type: ignore[arg-type]
        )

    async def receive_event(self, event_id: str, event_type: str, hints: Sequence[str], created: int) -> ReceivedEvent:
        """Write down that an event came.

        units   created: Stripe's own date, in seconds since 1970
        raises  StoreUnavailable
        """
        return await self._database.call(
            "receive_event",
            {"p_id": event_id, "p_type": event_type, "p_hints": tuple(hints), "p_created": created},
            ReceivedEvent,
        )

    async def finish_event(self, event_id: str) -> None:
        """Say that all an event hinted at is posted.

        raises  StoreUnavailable
        """
        await self._database.call("finish_event", {"p_id": event_id}, Counted)

    async def fail_event(self, event_id: str, error: str) -> None:
        """Say why an event could not be handled; it stays unhandled, and for a person where that was so for too long.

        raises  StoreUnavailable
        """
        await self._database.call("fail_event", {"p_id": event_id, "p_error": error}, Counted)

    async def unhandled_events(self, *, limit: int, older_than_s: int) -> tuple[UnhandledEvent, ...]:
        """Return events that came so long ago and were not handled, the least tried first.

        raises  StoreUnavailable
        """
        chosen = {"p_limit": limit, "p_older_than_s": older_than_s}
        return await self._database.call("unhandled_events", chosen, tuple[UnhandledEvent, ...])

    async def try_event(self, event_id: str) -> bool:
        """Count a try that is about to be made; return whether the event is still unhandled.

        raises  StoreUnavailable
        """
        return (await self._database.call("try_event", {"p_id": event_id}, Counted)).count > 0

    async def erase_events(self) -> Counted:
        """Erase events that were handled a month ago.

        raises  StoreUnavailable
        """
        return await self._database.call("erase_events", {}, Counted)
