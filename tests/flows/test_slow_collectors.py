"""What a collector that is slow, or hangs, costs the calls whose spans it is sent."""

import asyncio
import time

import aiohttp

from shared.clients.collector import DEADLINE_S
from tests.flows.calls import ask, chat
from tests.harness.collector import CollectorDouble
from tests.harness.gateways import Gateways
from tests.harness.tenants import Models, Tenants


async def test_a_collector_that_hangs_costs_half_a_second_once_and_no_money(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    collector = CollectorDouble().open()
    collector.delay_s = 60
    try:
        gateway = start_gateway(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        customer, model = tenant(), make_model("tokens=2")
        first = await ask(session, gateway.url, customer, chat(model))
        started_s = time.monotonic()
        others = await asyncio.gather(*(ask(session, gateway.url, customer, chat(model)) for _ in range(4)))
        others_took_s = time.monotonic() - started_s
    finally:
        collector.close()
    assert [answer.status for answer in (first, *others)] == [200] * 5
    assert DEADLINE_S <= first.duration_s < DEADLINE_S + 2
    assert others_took_s < DEADLINE_S
    assert len(collector.received) == 1
    assert gateway.log_text().count('"spans_not_sent"') == 1
    assert customer.balance()["held_nanos"] == 0


async def test_a_slow_collector_holds_up_one_answer_and_not_the_next(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    collector = CollectorDouble().open()
    try:
        gateway = start_gateway(OTEL_EXPORTER_OTLP_ENDPOINT=collector.url)
        customer, model = tenant(), make_model("tokens=2")
        await ask(session, gateway.url, customer, chat(model))
        collector.delay_s = 0.9 * DEADLINE_S
        answers = [await ask(session, gateway.url, customer, chat(model)) for _ in range(4)]
    finally:
        collector.close()
    assert [answer.status for answer in answers] == [200] * 4
    assert sum(answer.duration_s > 0.8 * DEADLINE_S for answer in answers) <= 1
    assert len(collector.received) == 2
    assert gateway.log_text().count('"spans_slow"') == 1
