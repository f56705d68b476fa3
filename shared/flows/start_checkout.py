"""Begin to buy: credits on Stripe's page, a plan there or by changing the subscription that the account has."""

import asyncio
import uuid

import msgspec

from shared.billing.plan_changes import CheckoutOutcome
from shared.billing.types import Checkout, ChosenCheckout, OpenedCheckout
from shared.clients.stripe.sales import CreditsOrder, Session
from shared.clients.stripe.wire import PaymentsUnavailable
from shared.core.caller import Caller
from shared.core.receipts import Receipt, note_replay
from shared.core.verdicts import Refused
from shared.flows.ask import ask_within_limits
from shared.flows.change_plan import change_plan
from shared.flows.own_receipt import own_receipt
from shared.flows.send_email import send_at_once
from shared.flows.till import ORDER_S, Till, keep_page, page_of, with_customer

CENTS_PER_DOLLAR = 100


class Purchase(msgspec.Struct, frozen=True, kw_only=True):
    """One request to buy: who, what, how it is known when it comes again, and its answer's headers."""

    caller: Caller
    chosen: ChosenCheckout
    receipt: Receipt | None
    answer_headers: dict[str, str]


class StartedCheckout(msgspec.Struct, frozen=True):
    """What is being bought, and what came of it so far."""

    checkout: Checkout
    outcome: CheckoutOutcome


async def start_checkout(till: Till, purchase: Purchase) -> StartedCheckout:
    """Write down what somebody wants to buy, and have Stripe take the money for it, or change what it takes.

    Under the same Idempotency-Key it is done once and answered the same.

    raises  as ask_within_limits; AmountOutOfRange, UnknownPlan, PlanNotForSale, AlreadyOnPlan, IdempotencyKeyReused;
            PlanChangeInProgress, PaymentsUnavailable, StripeRefused. A retry is safe
    """
    receipt = own_receipt(purchase.receipt, purchase.caller, till.means.secret_keys)

    async def ask() -> OpenedCheckout | Refused:
        return await till.means.payments.open_checkout(purchase.caller, purchase.chosen, receipt.to_json())

    opened = await ask_within_limits(till.desk, purchase.caller, ask, purchase.answer_headers)
    if opened.is_replayed and purchase.receipt is not None:
        note_replay(purchase.answer_headers)
    try:
        async with asyncio.timeout(ORDER_S):
            return await _order(till, opened)
    except TimeoutError as error:
        raise PaymentsUnavailable from error


async def _order(till: Till, opened: OpenedCheckout) -> StartedCheckout:
    if opened.checkout.kind == "plan":
        outcome = await change_plan(till, opened)
        await send_at_once(till.mail, opened.account_id)
        return StartedCheckout(opened.checkout, outcome)
    checkout = opened.checkout if opened.checkout.url else await _open_credits_session(till, opened)
    outcome = CheckoutOutcome(
        status="open", amount_cents=checkout.amount_cents, url=checkout.url, expires_at=checkout.expires_at
    )
    return StartedCheckout(checkout, outcome)


async def _open_credits_session(till: Till, opened: OpenedCheckout) -> Checkout:
    """Have Stripe make the page; of several attempts the first that is kept is the one that anybody hears of."""
    checkout = opened.checkout
    if checkout.amount_cents is None:
        raise ValueError("a checkout of credits has an amount")
    amount_cents = checkout.amount_cents

    async def open_session(customer_id: str) -> Session:
        order = CreditsOrder(
            checkout_id=str(checkout.id),
            turn=str(uuid.uuid4()),
            customer_id=customer_id,
            amount_cents=amount_cents,
            name=f"{_dollars(amount_cents)} USD of credits",
            success_url=till.success_url,
            cancel_url=till.cancel_url,
        )
        return await till.means.stripe.sales.open_credits_session(order)

    return await keep_page(till, checkout, page_of(await with_customer(till, opened, open_session)))


def _dollars(cents: int) -> str:
    dollars, rest = divmod(cents, CENTS_PER_DOLLAR)
    return f"{dollars}.{rest:02d}" if rest else str(dollars)
