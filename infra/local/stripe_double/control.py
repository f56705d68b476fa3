"""What a test asks of the double under `/_control`: time, refunds and disputes, payments, deliveries, faults."""

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from infra.local.stripe_double.account import Account
from infra.local.stripe_double.cards import Card, find_card
from infra.local.stripe_double.checkout_page import success_url
from infra.local.stripe_double.completion import end_delayed_payment, pay_later, pay_session
from infra.local.stripe_double.control_orders import (
    ClockOrder,
    MoneyBackOrder,
    PaymentOrder,
    ResetOrder,
    SendOrder,
    SettingsOrder,
)
from infra.local.stripe_double.customers import set_default_card
from infra.local.stripe_double.deliveries import MAX_ENDPOINTS, DeliveryOrder, Endpoint
from infra.local.stripe_double.disputes import close_dispute, escalate_dispute, open_dispute
from infra.local.stripe_double.due import advance, catch_up
from infra.local.stripe_double.faults import FaultOrder
from infra.local.stripe_double.refunds import complete_refund, fail_refund, find_charge, refund_charge
from infra.local.stripe_double.refusals import InvalidRequest, Json

PREFIX = "/_control"
MAX_IDLE_WAIT_S = 120.0


Control = Callable[[Account, bytes, str], Awaitable[Any]]


def _read[Order](body: bytes, order: type[Order]) -> Order:
    """Return the order in a body; an empty one is all defaults.

    raises  InvalidRequest
    """
    try:
        return msgspec.json.decode(body or b"{}", type=order)
    except msgspec.DecodeError as error:
        raise InvalidRequest(str(error)) from None


async def get_health(_: Account, __: bytes, ___: str) -> Json:
    """Say that the process is up."""
    return {"status": "ok"}


async def post_reset(account: Account, body: bytes, _: str) -> Json:
    """Forget everything."""
    order = _read(body, ResetOrder)
    await account.reset(now=order.now, seed=order.seed, keeps_endpoints=order.keeps_endpoints)
    return {"now": account.world.now()}


async def get_clock(account: Account, _: bytes, __: str) -> Json:
    """Tell the time."""
    return {"now": account.world.now(), "stands_still": account.world.clock.stands_still}


async def post_clock(account: Account, body: bytes, name: str) -> Json:
    """Move the clock; what falls due on the way happens."""
    order = _read(body, ClockOrder)
    now = account.world.now()
    until = now + order.ahead_s if order.to is None else order.to
    if until < now:
        raise InvalidRequest("The clock only moves forwards.", param="to")
    advance(account.world, until)
    return await get_clock(account, body, name)


async def post_settings(account: Account, body: bytes, _: str) -> Json:
    """Change the account's settings."""
    order = _read(body, SettingsOrder)
    settings = account.world.settings
    for name in ("after_retries", "retry_after_days", "draft_s", "dispute_fee", "tax_basis_points"):
        if getattr(order, name) is not None:
            setattr(settings, name, getattr(order, name))
    if order.delivery_retry_after_s is not None:
        account.deliveries.retry_after_s = order.delivery_retry_after_s
    return {"after_retries": settings.after_retries, "draft_s": settings.draft_s}


async def post_endpoint(account: Account, body: bytes, _: str) -> Json:
    """Add an endpoint; the same url again is replaced."""
    endpoint = _read(body, Endpoint)
    others = [other for other in account.deliveries.endpoints if other.url != endpoint.url]
    if len(others) >= MAX_ENDPOINTS or not endpoint.secret:
        raise InvalidRequest("An endpoint needs a secret, and there are only so many.")
    account.deliveries.endpoints = [*others, endpoint]
    return {"endpoints": [other.url for other in account.deliveries.endpoints]}


async def delete_endpoints(account: Account, _: bytes, __: str) -> Json:
    """Deliver to nobody."""
    account.deliveries.endpoints = []
    return {"endpoints": []}


async def post_payment(account: Account, body: bytes, session_id: str) -> Json:
    """Pay a session, as its page does."""
    order, world = _read(body, PaymentOrder), account.world
    session, card = world.get("checkout.session", session_id), _card(order.card)
    if order.delayed:
        pay_later(world, session, card, email=order.email)
    else:
        pay_session(world, session, card, email=order.email, is_authenticated=True)
    return {"session": session, "success_url": success_url(session)}


async def post_delayed_success(account: Account, _: bytes, session_id: str) -> Json:
    """Let a delayed payment succeed."""
    session = account.world.get("checkout.session", session_id)
    end_delayed_payment(account.world, session, succeeds=True)
    return session


async def post_delayed_failure(account: Account, _: bytes, session_id: str) -> Json:
    """Let a delayed payment fail."""
    session = account.world.get("checkout.session", session_id)
    end_delayed_payment(account.world, session, succeeds=False)
    return session


async def post_card(account: Account, body: bytes, customer_id: str) -> Json:
    """Give a customer another card, for all subscriptions: `{"card": "chargeCustomerFail"}`."""
    customer = account.world.get("customer", customer_id)
    return set_default_card(account.world, customer, _card(_read(body, PaymentOrder).card))


async def post_refund(account: Account, body: bytes, _: str) -> Json:
    """Refund as the account's owner does in the dashboard."""
    order = _read(body, MoneyBackOrder)
    return refund_charge(account.world, find_charge(account.world, order.params()), order.params(), order.fate)


async def post_refund_failure(account: Account, _: bytes, refund_id: str) -> Json:
    """Let a refund come back."""
    refund = account.world.get("refund", refund_id)
    fail_refund(account.world, refund)
    return refund


async def post_refund_success(account: Account, _: bytes, refund_id: str) -> Json:
    """Let a pending refund arrive."""
    refund = account.world.get("refund", refund_id)
    complete_refund(account.world, refund)
    return refund


async def post_dispute(account: Account, body: bytes, _: str) -> Json:
    """Dispute a charge."""
    order, world = _read(body, MoneyBackOrder), account.world
    charge = find_charge(world, order.params())
    reason = order.reason or "fraudulent"
    return open_dispute(world, charge, amount=order.amount, reason=reason, is_inquiry=order.is_inquiry)


async def post_dispute_won(account: Account, _: bytes, dispute_id: str) -> Json:
    """Close a dispute in our favour."""
    dispute = account.world.get("dispute", dispute_id)
    close_dispute(account.world, dispute, "won")
    return dispute


async def post_dispute_lost(account: Account, _: bytes, dispute_id: str) -> Json:
    """Close a dispute against us."""
    dispute = account.world.get("dispute", dispute_id)
    close_dispute(account.world, dispute, "lost")
    return dispute


async def post_dispute_escalated(account: Account, _: bytes, dispute_id: str) -> Json:
    """Make a chargeback of an inquiry."""
    dispute = account.world.get("dispute", dispute_id)
    escalate_dispute(account.world, dispute)
    return dispute


async def post_deliveries(account: Account, body: bytes, _: str) -> Json:
    """Deliver events (again)."""
    order = _read(body, SendOrder)
    for event_id in order.events:
        account.world.get("event", event_id, param="events")
    events = [
        event
        for event in reversed(account.world.rows("event"))
        if event["id"] in order.events or event["type"] in order.types or not (order.events or order.types)
    ]
    return {"started": account.deliveries.send(events, order)}


async def get_deliveries(account: Account, _: bytes, __: str) -> Json:
    """List what was sent and how it was answered, oldest first."""
    return {"data": list(account.deliveries.log), "held": [event["id"] for event in account.deliveries.held]}


async def post_hold(account: Account, _: bytes, __: str) -> Json:
    """Hold further events back."""
    account.deliveries.is_holding = True
    return {"holding": True}


async def post_release(account: Account, body: bytes, _: str) -> Json:
    """Send what was held back, in the manner of an order."""
    return {"started": account.deliveries.release(_read(body, DeliveryOrder))}


async def post_idle(account: Account, _: bytes, __: str) -> Json:
    """Wait until every delivery has ended."""
    account.deliveries.pump()
    return {"idle": await account.deliveries.wait_idle(MAX_IDLE_WAIT_S)}


async def post_fault(account: Account, body: bytes, _: str) -> Json:
    """Script what goes wrong next."""
    account.api.faults.add(_read(body, FaultOrder))
    return {"status": "ok"}


async def delete_faults(account: Account, _: bytes, __: str) -> Json:
    """Let everything go well again."""
    account.api.faults.clear()
    return {"status": "ok"}


async def get_calls(account: Account, _: bytes, __: str) -> Json:
    """List the API calls, oldest first."""
    return {"data": list(account.api.calls)}


def _card(text: str) -> Card:
    card = find_card(text)
    if card is None:
        raise InvalidRequest(f"There is no test card '{text}'.", param="card")
    return card


async def run_control(account: Account, control: Control, body: bytes, name: str) -> Any:
    """Do what fell due before, then what was asked.

    raises  StripeRefusal, ValueError
    """
    catch_up(account.world)
    return await control(account, body, name)


CONTROLS: tuple[tuple[str, str, Control], ...] = (
    ("GET", "/health", get_health),
    ("POST", "/reset", post_reset),
    ("GET", "/clock", get_clock),
    ("POST", "/clock", post_clock),
    ("POST", "/settings", post_settings),
    ("POST", "/endpoints", post_endpoint),
    ("DELETE", "/endpoints", delete_endpoints),
    ("POST", "/sessions/{id}/pay", post_payment),
    ("POST", "/sessions/{id}/succeed", post_delayed_success),
    ("POST", "/sessions/{id}/fail", post_delayed_failure),
    ("POST", "/customers/{id}/card", post_card),
    ("POST", "/refunds", post_refund),
    ("POST", "/refunds/{id}/fail", post_refund_failure),
    ("POST", "/refunds/{id}/succeed", post_refund_success),
    ("POST", "/disputes", post_dispute),
    ("POST", "/disputes/{id}/win", post_dispute_won),
    ("POST", "/disputes/{id}/lose", post_dispute_lost),
    ("POST", "/disputes/{id}/escalate", post_dispute_escalated),
    ("POST", "/deliveries", post_deliveries),
    ("GET", "/deliveries", get_deliveries),
    ("POST", "/deliveries/hold", post_hold),
    ("POST", "/deliveries/release", post_release),
    ("POST", "/deliveries/idle", post_idle),
    ("POST", "/faults", post_fault),
    ("DELETE", "/faults", delete_faults),
    ("GET", "/calls", get_calls),
)
