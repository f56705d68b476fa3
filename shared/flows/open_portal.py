"""Open Stripe's customer portal: invoices, payment methods, and the end of a subscription."""

import asyncio

from shared.billing.plan_changes import PayerTold
from shared.clients.stripe.wire import PaymentsUnavailable
from shared.core.caller import Caller
from shared.core.verdicts import Refused
from shared.flows.ask import ask_within_limits
from shared.flows.till import ORDER_S, Till, with_customer


async def open_portal(till: Till, caller: Caller, answer_headers: dict[str, str]) -> str:
    """Return the address of the caller's own portal, which he may use for some minutes.

    raises  as ask_within_limits; PaymentsUnavailable, StripeRefused. A retry opens another
    """

    async def ask() -> PayerTold | Refused:
        return await till.changes.read_payer(caller)

    payer = await ask_within_limits(till.desk, caller, ask, answer_headers)
    try:
        async with asyncio.timeout(ORDER_S):
            return await with_customer(
                till, payer, lambda customer_id: till.means.stripe.sales.open_portal(customer_id, till.page_url)
            )
    except TimeoutError as error:
        raise PaymentsUnavailable from error
