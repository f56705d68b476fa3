"""What is sold at Stripe: customers, prices, Checkout sessions, and the portal where customers manage it all."""

from typing import TYPE_CHECKING, Any

import msgspec

from shared.clients.stripe.facts import Interval
from shared.clients.stripe.payments import MISSING
from shared.clients.stripe.shapes import Address, ConfigurationShape, CustomerShape, Id, SessionShape
from shared.clients.stripe.wire import PAGE_SIZE, Page, StripeRefused, StripeWire

if TYPE_CHECKING:
    from stripe import V1Services

CURRENCY = "usd"
ALREADY_EXISTS = "resource_already_exists"
# By this the portal's configuration is found again; another number where what it allows has changed.
PORTAL_MARK = {"gateway_portal": "1"}
PORTAL_FEATURES: dict[str, Any] = {
    "customer_update": {"enabled": True, "allowed_updates": ["address", "email", "name", "tax_id"]},
    "invoice_history": {"enabled": True},
    "payment_method_update": {"enabled": True},
    "subscription_cancel": {"enabled": True, "mode": "at_period_end"},
    # To which plan one may change, and when, is ours to decide.
    "subscription_update": {"enabled": False},
}


class CreditsOrder(msgspec.Struct, frozen=True, kw_only=True):
    """Credits to be paid for; the same turn makes one session. name: what the buyer reads.

    turn: of one attempt. Stripe would answer a second one under the same name with the first one's failure, for a day
    """

    checkout_id: str
    turn: str
    customer_id: str
    amount_cents: int
    name: str
    success_url: str
    cancel_url: str


class PlanOrder(msgspec.Struct, frozen=True, kw_only=True):
    """A plan to be subscribed to; the same turn makes one session, since the one of a turn before may be expired."""

    checkout_id: str
    turn: str
    customer_id: str
    price_id: str
    success_url: str
    cancel_url: str


class PlanPrice(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as it is sold: name is what the buyer reads; the allowance tells prices of one amount apart."""

    plan_id: str
    name: str
    interval: Interval
    amount_cents: int
    monthly_allowance_nanos: int


class Session(msgspec.Struct, frozen=True):
    """A Checkout session: open, complete or expired; url is None once it has ended. expires_at: unix seconds."""

    id: str
    status: str
    url: str | None
    expires_at: int | None


class StripeSales:
    """What one account at Stripe sells. is_taxed: Stripe works out taxes and adds them.

    policy  closed: PaymentsUnavailable, StripeRefused; a retry may make a second customer, price or session, of which
            the one counts that is kept first: Stripe would answer under a key of ours with a first failure for a day
    """

    def __init__(self, wire: StripeWire, *, is_taxed: bool) -> None:
        self._wire = wire
        self._is_taxed = is_taxed
        self._portal_id: str | None = None

    async def create_customer(self, account_id: str, email: str | None) -> str:
        """Make the customer of an account and return his id; account_id: as people see it."""

        async def create(services: "V1Services") -> Any:
            params: Any = {"metadata": {"account_id": account_id}} | ({"email": email} if email else {})
            return await services.customers.create_async(params)

        return (await self._wire.ask(create, Id)).id

    async def is_customer_gone(self, customer_id: str) -> bool:
        """Tell whether a customer was deleted, or never was."""

        async def retrieve(services: "V1Services") -> Any:
            return await services.customers.retrieve_async(customer_id)

        try:
            return (await self._wire.ask(retrieve, CustomerShape)).deleted
        except StripeRefused as refusal:
            if refusal.reason == MISSING:
                return True
            raise

    async def open_credits_session(self, order: CreditsOrder) -> Session:
        """Open the page where credits are paid for."""
        price = {
            "currency": CURRENCY,
            "unit_amount": order.amount_cents,
            "tax_behavior": "exclusive",
            "product_data": {"name": order.name},
        }
        params = {
            "mode": "payment",
            "line_items": [{"price_data": price, "quantity": 1}],
            "payment_intent_data": {"description": order.name},
            "invoice_creation": {"enabled": True},
        }
        return await self._open_session(order, params)

    async def open_plan_session(self, order: PlanOrder) -> Session:
        """Open the page where a plan is subscribed to."""
        params = {"mode": "subscription", "line_items": [{"price": order.price_id, "quantity": 1}]}
        return await self._open_session(order, params)

    async def read_session(self, session_id: str) -> Session:
        """Read a session."""

        async def retrieve(services: "V1Services") -> Any:
            return await services.checkout.sessions.retrieve_async(session_id)

        return _session(await self._wire.ask(retrieve, SessionShape))

    async def expire_plan_sessions(self, customer_id: str) -> None:
        """End the open sessions by which a customer could still subscribe to a plan; others stay.

        raises  as every method; a session that was paid meanwhile is no failure
        """

        def list_page(services: "V1Services", after: str | None) -> Any:
            params: Any = {"customer": customer_id, "status": "open", "limit": PAGE_SIZE}
            return services.checkout.sessions.list_async(params | ({"starting_after": after} if after else {}))

        # All kinds come in one list: a page for a plan may stand behind many for credits.
        for session in await self._wire.ask_all(list_page, SessionShape):
            if session.mode == "subscription":
                await self.expire_session(session.id)

    async def expire_session(self, session_id: str) -> None:
        """End a session, unless it has ended."""

        async def expire(services: "V1Services") -> Any:
            return await services.checkout.sessions.expire_async(session_id)

        try:
            await self._wire.ask(expire, Id)
        except StripeRefused:
            if (await self.read_session(session_id)).status == "open":
                raise

    async def ensure_price(self, price: PlanPrice) -> str:
        """Make a price for a plan, with its product where there is none, and return its id; whoever calls keeps it."""
        product_id = await self._ensure_product(price)

        async def create(services: "V1Services") -> Any:
            params: Any = {
                "product": product_id,
                "currency": CURRENCY,
                "unit_amount": price.amount_cents,
                "tax_behavior": "exclusive",
                "recurring": {"interval": price.interval},
                "metadata": {"monthly_allowance_nanos": str(price.monthly_allowance_nanos)},
            }
            return await services.prices.create_async(params)

        return (await self._wire.ask(create, Id)).id

    async def open_portal(self, customer_id: str, return_url: str) -> str:
        """Return the address where a customer finds his invoices, changes his card and cancels."""
        if self._portal_id is not None:
            try:
                return await self._open_portal(self._portal_id, customer_id, return_url)
            except StripeRefused as refusal:
                # Somebody has taken the configuration away since it was looked for.
                if refusal.reason != MISSING:
                    raise
        self._portal_id = await self._find_portal() or await self._create_portal()
        return await self._open_portal(self._portal_id, customer_id, return_url)

    async def _open_portal(self, portal_id: str, customer_id: str, return_url: str) -> str:
        async def create(services: "V1Services") -> Any:
            params: Any = {"customer": customer_id, "configuration": portal_id, "return_url": return_url}
            return await services.billing_portal.sessions.create_async(params)

        return (await self._wire.ask(create, Address)).url

    async def _open_session(self, order: CreditsOrder | PlanOrder, params: dict[str, Any]) -> Session:
        common: dict[str, Any] = {
            "customer": order.customer_id,
            "client_reference_id": order.checkout_id,
            "success_url": order.success_url,
            "cancel_url": order.cancel_url,
        }
        if self._is_taxed:
            # Where somebody is taxed, Stripe asks him on its page.
            common |= {"automatic_tax": {"enabled": True}, "customer_update": {"address": "auto", "name": "auto"}}

        async def create(services: "V1Services") -> Any:
            full: Any = params | common
            return await services.checkout.sessions.create_async(full, _once(f"checkout:{order.turn}"))

        return _session(await self._wire.ask(create, SessionShape))

    async def _ensure_product(self, price: PlanPrice) -> str:
        product_id = f"gateway_{price.plan_id}"

        async def create(services: "V1Services") -> Any:
            return await services.products.create_async({"id": product_id, "name": price.name})

        try:
            await self._wire.ask(create, Id)
        except StripeRefused as refusal:
            if refusal.reason != ALREADY_EXISTS:
                raise
        return product_id

    async def _find_portal(self) -> str | None:
        async def list_active(services: "V1Services") -> Any:
            return await services.billing_portal.configurations.list_async({"active": True, "limit": PAGE_SIZE})

        page = await self._wire.ask(list_active, Page[ConfigurationShape])
        return next((each.id for each in page.data if (each.metadata or {}).items() >= PORTAL_MARK.items()), None)

    async def _create_portal(self) -> str:
        async def create(services: "V1Services") -> Any:
            params: Any = {"features": PORTAL_FEATURES, "metadata": PORTAL_MARK}
            return await services.billing_portal.configurations.create_async(params)

        return (await self._wire.ask(create, Id)).id


def _session(shape: SessionShape) -> Session:
    return Session(id=shape.id, status=shape.status or "open", url=shape.url, expires_at=shape.expires_at)


def _once(key: str) -> Any:
    return {"idempotency_key": key}
