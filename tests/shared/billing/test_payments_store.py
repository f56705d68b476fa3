"""Payments through PostgREST: what they answer is what our types say, and anything else is our own failure."""

import time
import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import aiohttp
import psycopg
import pytest

from infra.local.stack import LocalStack
from shared.billing.store import Payments
from shared.billing.types import (
    ChosenCheckout,
    OpenedCheckout,
    OwnPayment,
    OwnPayments,
    PaymentPosted,
    PaymentSuperseded,
    PaymentUnowned,
    RefundDue,
)
from shared.clients.database import Database
from shared.core.caller import Caller
from shared.core.errors import StoreUnavailable
from shared.core.ids import AccountId
from shared.core.money import Nanos
from shared.core.scopes import Scope
from shared.core.verdicts import Refused
from tests.harness.callers import caller_of
from tests.harness.tenants import Tenant, Tenants


@pytest.fixture
async def payments(stack: LocalStack) -> AsyncIterator[Payments]:
    async with aiohttp.ClientSession() as session:
        yield Payments(Database(session, url=stack.supabase_url, key=stack.credentials.secret_key, deadline_s=10))


@pytest.fixture
def customer(stack: LocalStack, tenant: Tenants) -> Tenant:
    """A customer whose key may look at payments and make them."""
    customer = tenant()
    _run(stack, "update gateway.api_keys set scopes = '{billing:read,billing:write}' where id = %s", customer.key_id)
    return customer


def _run(stack: LocalStack, statement: str, number: int) -> None:
    with psycopg.connect(stack.database_url, autocommit=True) as session:
        session.execute(statement.encode(), (number,))


def _caller(stack: LocalStack, customer: Tenant, scope: Scope) -> Caller:
    return caller_of(customer.api_key, stack.credentials.gateway_secret, scope=scope)


async def _opened(payments: Payments, caller: Caller, cents: int = 10_000) -> OpenedCheckout:
    chosen = ChosenCheckout(id=uuid.uuid4(), kind="credits", amount_cents=cents)
    opened = await payments.open_checkout(caller, chosen, None)
    assert isinstance(opened, OpenedCheckout)
    return opened


def _told(
    payment_id: str, checkout_id: uuid.UUID | None, customer_id: str | None, **other: object
) -> dict[str, object]:
    return {
        "id": payment_id,
        "customer_id": customer_id,
        "kind": "credits",
        "checkout_id": str(checkout_id),
        "status": "succeeded",
        "currency": "usd",
        "received_cents": 10_000,
        "tax_cents": 0,
        "bought_cents": 10_000,
        "refunds": [],
        "disputes": [],
        **other,
    }


async def test_a_purchase_from_its_order_to_its_refund(stack: LocalStack, payments: Payments, customer: Tenant) -> None:
    buyer, reader = _caller(stack, customer, "billing:write"), _caller(stack, customer, "billing:read")
    opened = await _opened(payments, buyer)
    assert (opened.account_id, opened.checkout.bonus_nanos) == (customer.account_id, Nanos(5 * 10**9))
    name = f"cus_{customer.account_id}"
    assert (await payments.keep_customer(AccountId(customer.account_id), name)).customer_id == name
    ends = (datetime.now(UTC) + timedelta(hours=24)).isoformat()
    session = {"session_id": f"cs_{customer.account_id}", "url": "https://pay.example", "expires_at": ends}
    kept = await payments.keep_checkout(opened.checkout.id, **session)
    assert kept.checkout.url == "https://pay.example"

    payment_id = f"pi_{customer.account_id}"
    early, claim = [await payments.claim_sync(payment_id) for _ in range(2)]
    told = _told(payment_id, opened.checkout.id, name)
    posted = await payments.post_payment(claim, told)
    assert isinstance(posted, PaymentPosted)
    assert posted.account_id == customer.account_id
    assert isinstance(await payments.post_payment(early, told), PaymentSuperseded)
    told["refunds"] = [{"id": "re_1", "amount_cents": 2_500, "status": "succeeded"}]
    await payments.post_payment(await payments.claim_sync(payment_id), told)

    page = await payments.list_payments(reader, limit=10, after=None)
    own = await payments.read_payment(reader, payment_id)
    assert isinstance(page, OwnPayments)
    assert isinstance(own, OwnPayment)
    assert (page.payments, page.has_more) == ((own.payment,), False)
    assert (own.payment.status, own.payment.refunded_cents, own.payment.bonus_nanos) == (
        "partially_refunded", 2_500, 5 * 10**9,
    )  # fmt: skip
    assert (await _opened(payments, buyer)).customer_id == name


async def test_refusals_are_verdicts(stack: LocalStack, payments: Payments, customer: Tenant) -> None:
    buyer, reader = _caller(stack, customer, "billing:write"), _caller(stack, customer, "billing:read")
    chosen = ChosenCheckout(id=uuid.uuid4(), kind="plan", plan_id="gold", interval="month")
    refused = await payments.open_checkout(buyer, chosen, None)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.code) == (404, "unknown_plan")
    missing = await payments.read_payment(reader, "pi_of_somebody_else")
    assert isinstance(missing, Refused)
    assert (missing.status, missing.code) == (404, "payment_not_found")


async def test_a_payment_of_nobody_and_one_of_an_account_that_is_gone(
    stack: LocalStack, payments: Payments, customer: Tenant
) -> None:
    payment_id = f"pi_nobody_{customer.account_id}"
    told = _told(payment_id, uuid.uuid4(), None)
    assert isinstance(await payments.post_payment(await payments.claim_sync(payment_id), told), PaymentUnowned)

    opened = await _opened(payments, _caller(stack, customer, "billing:write"))
    _run(stack, "select gateway.erase_account(%s, gateway.clock())", customer.account_id)
    payment_id = f"pi_gone_{customer.account_id}"
    told = _told(payment_id, opened.checkout.id, None)
    due = await payments.post_payment(await payments.claim_sync(payment_id), told)
    assert due == RefundDue(AccountId(customer.account_id), payment_id)
    assert payment_id in await payments.due_refunds(limit=1000)


async def test_what_stripe_never_says_is_our_own_failure(payments: Payments) -> None:
    claim = await payments.claim_sync("pi_odd")
    with pytest.raises(StoreUnavailable):
        await payments.post_payment(claim, {"id": "pi_odd"})


async def test_an_event_from_the_inbox_to_its_end(payments: Payments) -> None:
    event_id = f"evt_{uuid.uuid4().hex}"
    for tries in (1, 2):
        received = await payments.receive_event(event_id, "charge.refunded", ["payment:pi_1"], int(time.time()))
        assert (received.is_handled, received.tries) == (False, tries)
    await payments.fail_event(event_id, "Stripe did not answer")
    assert await payments.try_event(event_id) is True
    (found,) = [event for event in await payments.unhandled_events(limit=100, older_than_s=0) if event.id == event_id]
    assert (found.type, found.hints, found.tries) == ("charge.refunded", ("payment:pi_1",), 3)
    await payments.finish_event(event_id)
    assert await payments.try_event(event_id) is False
    assert (await payments.receive_event(event_id, "charge.refunded", ["payment:pi_1"], 1)).is_handled is True
    assert (await payments.erase_events()).count >= 0
