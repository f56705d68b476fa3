"""What orders are taken with, and who pays."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import msgspec

from shared.billing.plan_changes import PayerTold, PlanChanges
from shared.billing.plans import Plans
from shared.billing.types import Checkout, OpenedCheckout
from shared.clients.stripe.payments import MISSING
from shared.clients.stripe.sales import Session
from shared.clients.stripe.wire import PaymentsUnavailable, StripeRefused
from shared.core.ids import format_user_id
from shared.flows.ask import Desk
from shared.flows.send_email import MailMeans
from shared.flows.sync_means import SyncMeans

# Below the 29 s of AWS's gateway, with time left for the answer.
ORDER_S = 18.0


class Till(msgspec.Struct, frozen=True, kw_only=True):
    """The way in, Stripe with the books, plans and their changes, e-mail; page_url: where people come back to."""

    desk: Desk
    means: SyncMeans
    plans: Plans
    changes: PlanChanges
    mail: MailMeans
    page_url: str

    @property
    def success_url(self) -> str:
        """Where somebody comes back to who has paid."""
        return f"{self.page_url}?checkout=success"

    @property
    def cancel_url(self) -> str:
        """Where somebody comes back to who has not."""
        return f"{self.page_url}?checkout=cancelled"


async def with_customer[Answer](
    till: Till, opened: OpenedCheckout | PayerTold, use: Callable[[str], Awaitable[Answer]]
) -> Answer:
    """Do something at Stripe as the account's customer; once more as a new one where that was deleted there.

    raises  PaymentsUnavailable, StripeRefused, StoreUnavailable, and what use raises
    """
    if opened.customer_id is None:
        return await use(await _make_customer(till, opened))
    try:
        return await use(opened.customer_id)
    except StripeRefused as refusal:
        if refusal.reason != MISSING or not await till.means.stripe.sales.is_customer_gone(opened.customer_id):
            raise
    return await use(await _make_customer(till, opened))


async def _make_customer(till: Till, opened: OpenedCheckout | PayerTold) -> str:
    """Make a customer in place of the one that is known, if any; of two that are made at once the first one stays."""
    made = await till.means.stripe.sales.create_customer(format_user_id(opened.account_id), opened.email)
    kept = await till.means.payments.keep_customer(opened.account_id, made, gone_id=opened.customer_id)
    return kept.customer_id


class PayPage(msgspec.Struct, frozen=True):
    """A page where somebody pays, and until when he may."""

    session_id: str
    url: str
    expires_at: str


def page_of(session: Session) -> PayPage:
    """Return a session's page, with its end as moments are written here.

    raises  PaymentsUnavailable for a session without one
    """
    if session.url is None or session.expires_at is None:
        raise PaymentsUnavailable
    return PayPage(session.id, session.url, datetime.fromtimestamp(session.expires_at, UTC).isoformat())


async def keep_page(till: Till, checkout: Checkout, page: PayPage) -> Checkout:
    """Remember where a checkout is paid; the first page that is kept stays.

    raises  StoreUnavailable
    """
    kept = await till.means.payments.keep_checkout(
        checkout.id, session_id=page.session_id, url=page.url, expires_at=page.expires_at
    )
    return kept.checkout
