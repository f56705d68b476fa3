"""Without Redis requests are served; limits fail open, to what each instance counts by itself."""

import asyncio
import json
import statistics
from collections import Counter
from collections.abc import Callable

import aiohttp

from infra.local.stack import LocalStack
from tests.flows.calls import Answer, ask, ask_at_once, chat
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants
from tests.harness.wire import Fault, Wire

OpenWire = Callable[[str], Wire]

BACK_WITHIN_S = 15.0
REDIS_DEADLINE_S = 0.25


async def ask_in_a_row(
    session: aiohttp.ClientSession, url: str, customer: Tenant, body: dict[str, object], *, count: int
) -> list[Answer]:
    return [await ask(session, url, customer, body) for _ in range(count)]


async def wait_until_counted_again(
    session: aiohttp.ClientSession, url: str, customer: Tenant, body: dict[str, object]
) -> None:
    """Ask until the answer carries tokens left, which only Redis counts."""
    async with asyncio.timeout(BACK_WITHIN_S):
        while True:
            if "x-ratelimit-remaining-tokens" in (await ask(session, url, customer, body)).headers:
                return
            await asyncio.sleep(0.2)


def events(gateway: RunningGateway) -> Counter[tuple[str, str]]:
    lines = [json.loads(line) for line in gateway.log_text().splitlines() if line.startswith("{")]
    return Counter((line["event"], line["level"]) for line in lines)


async def test_redis_stopped_requests_are_served_with_a_warning_and_each_instance_holds_the_limit(
    stack: LocalStack,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    gateway, request = start_gateway(), chat(make_model("tokens=1"))
    limits = PlanLimits(requests_per_minute=20, tokens_per_minute=10**9)
    known, unseen, steady, probe = tenant(limits=limits), tenant(limits=limits), tenant(), tenant(
        limits=PlanLimits(tokens_per_minute=10**9)
    )  # fmt: skip
    await ask(session, gateway.url, known, request)
    with stack.without("redis"):
        for customer in (known, unseen):
            answers = await ask_in_a_row(session, gateway.url, customer, request, count=25)
            assert [answer.status for answer in answers] == [200] * 20 + [429] * 5
            assert {int(answer.headers["Retry-After"]) > 0 for answer in answers[20:]} == {True}
            assert customer.books.holds("held") == []
        answers = await ask_in_a_row(session, gateway.url, steady, request, count=10)
        assert {answer.status for answer in answers} == {200}
    assert events(gateway)["limiter_failed_open", "warning"] >= 1

    await wait_until_counted_again(session, gateway.url, probe, request)
    returning = tenant(limits=limits)
    answers = await ask_in_a_row(session, gateway.url, returning, request, count=25)
    assert [answer.status for answer in answers] == [200] * 20 + [429] * 5
    assert answers[-1].headers["x-ratelimit-limit-tokens"] == str(10**9)


async def test_a_slow_redis_costs_one_request_a_quarter_second_and_is_then_left_alone(
    *,
    stack: LocalStack,
    open_wire: OpenWire,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    wire = open_wire(stack.redis_rest_url)
    gateway, request = start_gateway(UPSTASH_REDIS_REST_URL=wire.url), chat(make_model("tokens=1"))
    customer = tenant(limits=PlanLimits(requests_per_minute=1000, tokens_per_minute=10**9))
    usual = await ask_in_a_row(session, gateway.url, customer, request, count=10)
    usual_s = statistics.median(answer.duration_s for answer in usual)
    wire.forget()
    with wire.broken(Fault(delay_s=0.4)):
        first, *others = await ask_in_a_row(session, gateway.url, customer, request, count=20)
    assert {answer.status for answer in (first, *others)} == {200}
    # One wait at the door; one at the end to give back what may have been counted, beside the settlement.
    assert REDIS_DEADLINE_S <= first.duration_s < 2 * REDIS_DEADLINE_S + usual_s + 0.25
    assert len(wire.exchanges()) == 2
    assert statistics.median(answer.duration_s for answer in others) < REDIS_DEADLINE_S / 2
    assert events(gateway)["limiter_failed_open", "warning"] == 1

    await wait_until_counted_again(session, gateway.url, customer, request)
    returning = tenant(limits=PlanLimits(requests_per_minute=5, tokens_per_minute=10**9))
    answers = await ask_in_a_row(session, gateway.url, returning, request, count=8)
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 3


async def test_a_moment_of_slowness_leaves_no_lease_and_no_tokens_behind(
    *,
    stack: LocalStack,
    open_wire: OpenWire,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    session: aiohttp.ClientSession,
) -> None:
    wire = open_wire(stack.redis_rest_url)
    gateway, request = start_gateway(UPSTASH_REDIS_REST_URL=wire.url), chat(make_model("tokens=1"))
    customer = tenant(limits=PlanLimits(concurrency=5, tokens_per_minute=100_000))
    await ask(session, gateway.url, customer, request)
    with wire.broken(Fault(answer_delay_s=0.4)):
        answers = await ask_at_once(session, (gateway.url,), customer, request, count=5)
    assert {answer.status for answer in answers} == {200}

    await wait_until_counted_again(session, gateway.url, tenant(limits=PlanLimits(tokens_per_minute=10**9)), request)
    answer = await ask(session, gateway.url, customer, request)
    assert answer.status == 200, answer.body
    assert int(answer.headers["x-ratelimit-remaining-tokens"]) > 100_000 - 2 * 4096 - 1000
