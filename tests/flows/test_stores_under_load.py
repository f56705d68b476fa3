"""A store that starts anew or forgets everything under load: each answer is paid for once, by its own bill."""

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import aiohttp
import psycopg
import pytest

from infra.local.ports import post_json
from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from tests.flows.calls import Answer, ask, chat, client
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants, TestModel

STREAMS = 30
WHOLE_ANSWERS = 10
LOAD_S = 8.0
STRIKE_AFTER_S = 2.5
# Longer than a settlement is tried again.
STAYS_AWAY_S = 3.0
# After a refusal; a client that asks at once would only keep the machine busy.
PAUSE_S = 0.2
CRON_SECRET = "a cron secret of the tests"
SWEEPS = 20
READ_BILLS = "select upstream_id, charged_nanos, shortfall_nanos from gateway.usage_lines where account_id = %s"

Bills = dict[str, int]


def restart(store: str) -> Callable[[LocalStack], None]:
    """Return what stops a store for a while and starts it again."""

    def strike(stack: LocalStack) -> None:
        with stack.without(store):
            time.sleep(STAYS_AWAY_S)

    return strike


def flush(stack: LocalStack) -> None:
    """Have Redis forget everything: policies, counts, leases, crash notes, and the scripts themselves."""
    for command in (["FLUSHALL"], ["SCRIPT", "FLUSH"]):
        headers = {"Authorization": f"Bearer {stack.credentials.redis_token}"}
        status, answer = post_json(stack.ports.redis_rest, "/", json.dumps(command).encode(), headers)
        assert status == 200, answer


async def ask_on_and_on(url: str, customer: Tenant, models: tuple[TestModel, TestModel]) -> list[Answer]:
    """Ask for streams and whole answers until the time is over, as many at once, and return every answer."""
    until_s = time.monotonic() + LOAD_S

    async def ask_in_turn(session: aiohttp.ClientSession, model: TestModel, *, stream: bool) -> list[Answer]:
        answers: list[Answer] = []
        while time.monotonic() < until_s:
            answers.append(await ask(session, url, customer, chat(model, stream=stream)))
            if answers[-1].status != 200:
                await asyncio.sleep(PAUSE_S)
        return answers

    async with client() as session:
        streams = [ask_in_turn(session, models[0], stream=True) for _ in range(STREAMS)]
        whole = [ask_in_turn(session, models[1], stream=False) for _ in range(WHOLE_ANSWERS)]
        return [answer for answers in await asyncio.gather(*streams, *whole) for answer in answers]


def is_as_promised(answer: Answer) -> bool:
    """Tell whether it is an answer, complete, or our own failure before any provider was called."""
    if answer.status == 503:
        return answer.code == "storage_unavailable" and int(answer.headers["Retry-After"]) > 0
    return answer.status == 200 and (answer.is_done or isinstance(answer.body, dict))


async def sweep_until_nothing_is_late(gateway: RunningGateway) -> int:
    """Have the sweep come by, as its schedule would, and return how many late settlements it made."""
    settled = 0
    async with client() as session:
        for _ in range(SWEEPS):
            headers = {"Authorization": f"Bearer {CRON_SECRET}"}
            async with session.post(f"{gateway.url}/internal/jobs/settlement_sweep", headers=headers) as response:
                did = await response.json()
                assert response.status == 200, did
            assert did["dead_letters"] == 0
            settled += int(did["late_settled"])
            if did["late_waiting"] == 0:
                return settled
            await asyncio.sleep(1)
    raise TimeoutError(f"after {SWEEPS} sweeps there are late settlements still")


def bills_in_the_ledger(customer: Tenant) -> Bills:
    """Return what was charged for each answer, by the provider's own name for it."""
    with psycopg.connect(customer.database_url, autocommit=True) as session:
        lines = session.execute(READ_BILLS.encode(), (customer.account_id,)).fetchall()
    assert {shortfall for _, _, shortfall in lines} == {0}
    bills = {upstream_id: charged for upstream_id, charged, _ in lines}
    assert len(bills) == len(lines), "two requests were charged for one answer"
    return bills


def bills_of_the_provider(simulator: Simulator, *models: TestModel) -> Bills:
    """Return what the provider billed at the test models' prices, by its name for the answer."""
    return {
        record["id"]: record["prompt_tokens"] * 1_000 + record["completion_tokens"] * 2_000
        for model in models
        for record in simulator.requests(model.upstream_model)
    }


async def count_leases(stack: LocalStack, customer: Tenant) -> object:
    async with client() as session:
        redis = Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
        return await redis.command("ZCARD", f"gw:leases:{customer.account_id}")


@pytest.mark.parametrize(
    ("strike", "makes_late"),
    [
        pytest.param(restart("postgres"), True, id="postgres-restarts"),
        pytest.param(restart("postgrest"), True, id="postgrest-restarts"),
        pytest.param(flush, False, id="redis-is-flushed"),
    ],
)
def test_whatever_store_fails_under_load_each_answer_is_charged_once_by_the_provider_s_own_bill(
    *,
    stack: LocalStack,
    start_gateway: Gateways,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    strike: Callable[[LocalStack], None],
    makes_late: bool,
) -> None:
    gateway, customer = start_gateway(CRON_SECRET=CRON_SECRET), tenant(limits=PlanLimits(concurrency=1_000))
    models = make_model("tokens=20,pace_ms=50"), make_model("tokens=20,first_byte_ms=700")
    with ThreadPoolExecutor(max_workers=1) as pool:
        load = pool.submit(lambda: asyncio.run(ask_on_and_on(gateway.url, customer, models)))
        time.sleep(STRIKE_AFTER_S)
        strike(stack)
        answers = load.result(timeout=60)

    assert [answer.body for answer in answers if not is_as_promised(answer)] == []
    answered = sum(answer.status == 200 for answer in answers)
    assert answered > STREAMS + WHOLE_ANSWERS
    late = asyncio.run(sweep_until_nothing_is_late(gateway))
    assert (late > 0) == makes_late

    assert bills_in_the_ledger(customer) == bills_of_the_provider(simulator, *models)
    assert len(customer.books.usage_lines()) == answered
    # Of a request that was refused a hold may be left that nobody could take back; it ends by itself.
    assert len(customer.books.holds("held")) <= len(answers) - answered
    customer.books.end_holds()
    assert customer.books.holds("held") == []
    assert customer.books.broken_rules() == []
    assert asyncio.run(count_leases(stack, customer)) == 0
