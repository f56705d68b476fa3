"""Without the ledger nothing is served and nobody is blamed; what broke half-way costs nobody twice."""

import asyncio
from dataclasses import replace

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.keys.fingerprint import fingerprint
from shared.keys.format import generate_secret
from tests.flows.calls import Answer, ask, chat
from tests.flows.conftest import WiredGateway
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants, TestModel
from tests.harness.wire import Exchange, Fault

# More than the gateway waits for the database.
TOO_SLOW_S = 5.5


def is_admit(exchange: Exchange) -> bool:
    return exchange.path.endswith("/admit")


BEFORE_THE_WORK = [
    pytest.param(Fault(status=500, matches=is_admit), id="status-500"),
    pytest.param(Fault(status=401, matches=is_admit), id="status-401"),
    pytest.param(Fault(status=429, matches=is_admit), id="status-429"),
    pytest.param(Fault(status=200, matches=is_admit), id="garbage"),
    pytest.param(Fault(refuses=True, matches=is_admit), id="hangs-up"),
]


def is_our_own_failure(answer: Answer) -> bool:
    return (
        answer.status == 503
        and answer.code == "storage_unavailable"
        and answer.headers["x-should-retry"] == "true"
        and int(answer.headers["Retry-After"]) > 0
        and answer.body["error"]["retryable"] is True
    )


async def count_leases(redis: Redis, tenant: Tenant) -> object:
    return await redis.command("ZCARD", f"gw:leases:{tenant.account_id}")


async def ask_each_way(
    session: aiohttp.ClientSession, url: str, tenants: list[Tenant], model: TestModel
) -> list[Answer]:
    return await asyncio.gather(
        *(ask(session, url, tenant, chat(model, stream=stream)) for tenant in tenants for stream in (False, True))
    )


async def test_postgres_stopped_is_503_for_every_key_and_no_provider_is_called(
    *,
    stack: LocalStack,
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    model = make_model("tokens=1")
    known, unseen, poor = tenant(limits=PlanLimits(concurrency=9)), tenant(), tenant(credit_nanos=0)
    nobody = replace(tenant(), api_key=generate_secret("live"))
    assert (await ask(session, gateway.url, known, chat(make_model("tokens=1")))).status == 200
    with stack.without("postgres"):
        answers = await ask_each_way(session, gateway.url, [known, unseen, poor, nobody], model)
    assert all(is_our_own_failure(answer) for answer in answers), answers
    assert simulator.requests(model.upstream_model) == []
    assert await count_leases(redis, known) == 0

    back = await ask_each_way(session, gateway.url, [known, unseen, poor, nobody], model)
    assert [answer.status for answer in back] == [200, 200, 200, 200, 402, 402, 401, 401]
    assert known.books.broken_rules() == unseen.books.broken_rules() == []


@pytest.mark.parametrize("fault", BEFORE_THE_WORK)
async def test_an_admission_that_broke_is_503_and_leaves_nothing_behind(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    redis: Redis,
    fault: Fault,
) -> None:
    known, unseen, model = tenant(), tenant(), make_model("tokens=1")
    await ask(session, wired.url, known, chat(make_model("tokens=1")))
    with wired.supabase.broken(fault):
        answers = await ask_each_way(session, wired.url, [known, unseen], model)
    assert all(is_our_own_failure(answer) for answer in answers), answers
    assert simulator.requests(model.upstream_model) == []
    assert known.books.holds("held") == unseen.books.holds() == []
    assert (await count_leases(redis, known), await count_leases(redis, unseen)) == (0, 0)


async def test_an_admission_whose_answer_is_lost_once_is_asked_again_and_holds_once(
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    customer, model = tenant(), make_model("tokens=1")
    with wired.supabase.broken(Fault(drops_answer=True, matches=is_admit), times=1):
        answer = await ask(session, wired.url, customer, chat(model))
    assert answer.status == 200
    assert [hold.state for hold in customer.books.holds()] == ["settled"]
    assert customer.books.counted_requests().by_keys == len(simulator.requests(model.upstream_model)) == 1
    assert customer.books.broken_rules() == []


async def test_an_admission_whose_answers_are_lost_is_503_and_its_hold_is_taken_back(
    *,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
    redis: Redis,
) -> None:
    customer, model = tenant(), make_model("tokens=1")
    before = customer.balance()["available_nanos"]
    with wired.supabase.broken(Fault(drops_answer=True, matches=is_admit)):
        assert is_our_own_failure(await ask(session, wired.url, customer, chat(model)))
    assert simulator.requests(model.upstream_model) == []
    assert [hold.state for hold in customer.books.holds()] == ["voided"]
    assert await count_leases(redis, customer) == 0
    assert customer.balance()["available_nanos"] == before
    assert customer.books.broken_rules() == []


async def test_an_admission_that_is_too_slow_is_503_whether_or_not_it_is_done_in_the_end(
    *,
    stack: LocalStack,
    wired: WiredGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    session: aiohttp.ClientSession,
) -> None:
    customer, model = tenant(), make_model("tokens=1")
    before = customer.balance()["available_nanos"]
    key = fingerprint(customer.api_key, stack.credentials.gateway_secret).encode()
    with wired.supabase.broken(Fault(answer_delay_s=TOO_SLOW_S, matches=lambda exchange: key in exchange.body)):
        answers = await ask_each_way(session, wired.url, [customer], model)
    assert all(is_our_own_failure(answer) for answer in answers), answers
    assert simulator.requests(model.upstream_model) == []
    customer.books.end_holds()
    assert {hold.state for hold in customer.books.holds()} <= {"expired", "voided"}
    assert customer.balance()["available_nanos"] == before
    assert customer.books.broken_rules() == []
