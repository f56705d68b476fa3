"""Many requests at once against a balance that pays for few of them."""

import asyncio
from collections import Counter

import aiohttp

from tests.flows.calls import ask, chat, wait_until
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

REQUESTS = 300
PAID_FOR = 10
GATE = "paid-for-ten"


async def test_of_300_requests_at_once_exactly_the_10_that_are_paid_for_are_served(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    quoted = tenant()
    await ask(session, gateway.url, quoted, chat(make_model("tokens=2")))
    (hold,) = quoted.books.holds()
    credit_nanos = PAID_FOR * hold.amount_nanos + hold.amount_nanos - 1
    customer, model = tenant(credit_nanos=credit_nanos), make_model(f"tokens=2,gate={GATE}")

    requests = [asyncio.ensure_future(ask(session, gateway.url, customer, chat(model))) for _ in range(REQUESTS)]
    await wait_until(lambda: sum(request.done() for request in requests) >= REQUESTS - PAID_FOR, within_s=30)
    refused = Counter((request.result().status, request.result().code) for request in requests if request.done())
    assert refused == {(402, "insufficient_credits"): REQUESTS - PAID_FOR}
    await wait_until(lambda: simulator.waiting_at(GATE) >= PAID_FOR)
    assert simulator.waiting_at(GATE) == PAID_FOR
    assert len(customer.books.holds("held")) == PAID_FOR

    simulator.open_gate(GATE)
    answers = await asyncio.gather(*requests)
    assert Counter(answer.status for answer in answers) == {402: REQUESTS - PAID_FOR, 200: PAID_FOR}
    lines = customer.books.usage_lines()
    assert len(lines) == PAID_FOR == len(simulator.requests(model.upstream_model))
    assert {line.shortfall_nanos for line in lines} == {0}
    assert customer.balance()["available_nanos"] == credit_nanos - sum(line.charged_nanos for line in lines)
    assert customer.books.counted_requests().by_keys == PAID_FOR
    assert customer.books.lowest_lot_nanos() >= 0
    assert customer.books.broken_rules() == []
