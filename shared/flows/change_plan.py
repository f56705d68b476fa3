"""Give an account the plan that it has ordered: by a page to subscribe on, or by changing what it has subscribed to."""

import uuid
from collections.abc import Awaitable, Callable

import msgspec

from shared.billing.plan_changes import CheckoutOutcome, TurnBegun, TurnEnded, Weighed
from shared.billing.types import OpenedCheckout
from shared.clients.stripe.facts import Subscription
from shared.clients.stripe.payments import MISSING
from shared.clients.stripe.sales import PlanOrder, Session
from shared.clients.stripe.sales import PlanPrice as PriceAtStripe
from shared.clients.stripe.wire import PaymentsUnavailable, StripeRefused
from shared.core.errors import GatewayError
from shared.core.finish import finish
from shared.core.verdicts import Refused
from shared.flows.refusals import refusal_error
from shared.flows.sync_subscription import sync_subscription
from shared.flows.till import Till, keep_page, page_of, with_customer

# What was to be done first may show that something else is to be done, such as to take back a cancellation, or to end
# one more subscription.
MOST_MOVES = 8
# Each time somebody else has to change the plan's price in between.
MOST_PRICES = 3
# The turn is given back whatever happens to the request.
GIVE_BACK_S = 6.0


class PlanChangeInProgress(GatewayError):
    """Another request changes the plan of this account."""

    status = 409
    code = "plan_change_in_progress"
    advice = "Another request changes the account's plan; look at `GET /user/plan`, then try again."
    is_retryable = True

    def __init__(self) -> None:
        super().__init__(
            "Another request is changing this account's plan. Look at GET /user/plan, then try again.",
            headers={"Retry-After": "3"},
        )


class _Order(msgspec.Struct, frozen=True):
    """An order whose turn it is: whose it is at Stripe, and the turn's own name there, by which it does things once."""

    opened: OpenedCheckout
    customer_id: str
    turn: uuid.UUID

    def key_for(self, price: "_Price") -> str:
        """Name what is asked of Stripe in this turn at this price."""
        return f"{self.turn}:{price.id}"


class _Price(msgspec.Struct, frozen=True):
    """A price at Stripe."""

    id: str
    amount_cents: int


class _Done(msgspec.Struct, frozen=True):
    """What came of an order; session_id: of the page, where there is one."""

    outcome: CheckoutOutcome
    session_id: str | None = None


async def change_plan(till: Till, opened: OpenedCheckout) -> CheckoutOutcome:
    """Carry out an order of a plan, once, while no other of its account is carried out.

    raises  PlanChangeInProgress, PaymentsUnavailable, StripeRefused, StoreUnavailable; a retry is safe
    """
    checkout_id, holder = opened.checkout.id, uuid.uuid4()
    turn = await till.changes.begin(checkout_id, holder)
    if isinstance(turn, TurnEnded):
        return turn.outcome
    if not isinstance(turn, TurnBegun):
        raise PlanChangeInProgress
    done: _Done | None = None
    try:
        # Another turn for another customer: Stripe knows what is asked by its name.
        done = await with_customer(
            till, opened, lambda customer_id: _carry_out(till, _Order(opened, customer_id, uuid.uuid4()))
        )
    finally:
        # Nothing came of it, as far as is known: the next one looks at Stripe first.
        giving = till.changes.end(checkout_id, holder, None if done is None else done.outcome)
        given = await finish(giving, deadline_s=GIVE_BACK_S)
    if given.verdict == "superseded":
        if done.session_id is not None:
            await till.means.stripe.sales.expire_session(done.session_id)
        raise PlanChangeInProgress
    return done.outcome


async def _carry_out(till: Till, order: _Order) -> _Done:
    """Make moves until the account has what it ordered, or somebody has to pay for it first."""
    stripe = till.means.stripe
    # From here on nobody subscribes by an older page; who has done so is found below.
    await stripe.sales.expire_plan_sessions(order.customer_id)
    for _ in range(MOST_MOVES):
        await _agree_with_stripe(till, order)
        weighed = await till.changes.weigh(order.opened.checkout.id)
        if weighed.move == "none":
            return _Done(_standing(weighed))
        if weighed.move == "subscribe":
            return await _open_plan_session(till, order, weighed)
        if weighed.move == "pay_first":
            return _Done(await _ask_for_payment(till, order))
        subscription = await stripe.subscriptions.read(weighed.subscription_id or "")
        outcome = None if subscription is None else await _move(till, order, weighed, subscription)
        if outcome is not None:
            return _Done(outcome)
    raise PlanChangeInProgress


async def _agree_with_stripe(till: Till, order: _Order) -> None:
    """Post what Stripe says of the account's subscriptions now: webhooks may not have come yet."""
    subscription_ids = set(await till.means.stripe.subscriptions.list_live(order.customer_id))
    if order.opened.subscription is not None:
        # It may have ended there.
        subscription_ids.add(order.opened.subscription.id)
    for subscription_id in sorted(subscription_ids):
        await sync_subscription(till.means, subscription_id)


async def _move(till: Till, order: _Order, weighed: Weighed, subscription: Subscription) -> CheckoutOutcome | None:
    """Change the subscription at Stripe; return what came of it where that is not to be read there."""
    subscriptions = till.means.stripe.subscriptions
    if weighed.move == "keep":
        await subscriptions.keep(subscription)
    elif weighed.move == "cancel":
        await subscriptions.cancel_at_period_end(subscription)
    elif weighed.move == "schedule":
        await _at_its_price(
            till,
            weighed,
            lambda price: subscriptions.schedule(subscription, price.id, weighed.interval, key=order.key_for(price)),
        )
    else:
        upgrade = await _at_its_price(
            till, weighed, lambda price: subscriptions.upgrade(subscription, price.id, key=order.key_for(price))
        )
        if upgrade.is_pending:
            return await _ask_for_payment(till, order, upgrade.invoice_url)
    return None


async def _ask_for_payment(till: Till, order: _Order, url: str | None = None) -> CheckoutOutcome:
    """Send the customer to the invoice, or to where he finds it and changes his card."""
    page = url or await till.means.stripe.sales.open_portal(order.customer_id, till.page_url)
    return CheckoutOutcome(status="payment_required", url=page)


async def _open_plan_session(till: Till, order: _Order, weighed: Weighed) -> _Done:
    checkout = order.opened.checkout

    async def open_session(price: _Price) -> tuple[Session, int]:
        plan_order = PlanOrder(
            checkout_id=str(checkout.id),
            turn=order.key_for(price),
            customer_id=order.customer_id,
            price_id=price.id,
            success_url=till.success_url,
            cancel_url=till.cancel_url,
        )
        return await till.means.stripe.sales.open_plan_session(plan_order), price.amount_cents

    session, amount_cents = await _at_its_price(till, weighed, open_session)
    page = page_of(session)
    await keep_page(till, checkout, page)
    # Not the page that is kept: that may be an earlier turn's, and expired.
    outcome = CheckoutOutcome(status="open", amount_cents=amount_cents, url=page.url, expires_at=page.expires_at)
    return _Done(outcome, page.session_id)


async def _at_its_price[Answer](till: Till, weighed: Weighed, use: Callable[[_Price], Awaitable[Answer]]) -> Answer:
    """Do something with the price at Stripe for what the plan costs now; once more with a new one where that is gone.

    raises  UnknownPlan, PlanNotForSale where that has changed; PaymentsUnavailable, StripeRefused
    """
    price = await _price_of(till, weighed)
    try:
        return await use(price)
    except StripeRefused as refusal:
        if refusal.reason != MISSING or refusal.about == "customer":
            raise
    return await use(await _price_of(till, weighed, is_known_gone=True))


async def _price_of(till: Till, weighed: Weighed, *, is_known_gone: bool = False) -> _Price:
    for _ in range(MOST_PRICES):
        told = await till.plans.read_price(weighed.plan_id, weighed.interval)
        if isinstance(told, Refused):
            raise refusal_error(told)
        if told.stripe_price_id is not None and not is_known_gone:
            return _Price(told.stripe_price_id, told.amount_cents)
        made = await till.means.stripe.sales.ensure_price(
            PriceAtStripe(
                plan_id=told.plan_id,
                name=told.name,
                interval=told.interval,
                amount_cents=told.amount_cents,
                monthly_allowance_nanos=told.monthly_allowance_nanos,
            )
        )
        if (await till.plans.keep_price(told, made)).verdict == "kept":
            return _Price(made, told.amount_cents)
    raise PaymentsUnavailable


def _standing(weighed: Weighed) -> CheckoutOutcome:
    """Say what is so, or will be."""
    if weighed.comes_at is not None:
        return CheckoutOutcome(status="scheduled", effective_at=weighed.comes_at)
    return CheckoutOutcome(status="changed")
