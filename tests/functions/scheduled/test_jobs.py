"""Jobs as a scheduler starts them over HTTP, and as a command."""

import asyncio
import json
import secrets
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Iterator

import aiohttp
import pytest

from infra.local.environment import gateway_environment
from infra.local.processes import StackError
from infra.local.stack import ROOT, LocalStack
from shared.flows.settle_late import settle_late
from shared.ledger.late import LEASE_MS
from tests.functions.chat.client import HELLO, TIMEOUT, Answer, ask
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants
from tests.harness.wire import Fault, Wire
from tests.shared.flows.late_support import Bench, look_up, record, usage

SECRET = "a cron secret of the tests"
SWEEP = "/internal/jobs/settlement_sweep"
AS_SCHEDULER = {"Authorization": f"Bearer {SECRET}"}


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


async def call(gateway: RunningGateway, path: str, headers: dict[str, str], method: str = "POST") -> Answer:
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.request(method, gateway.url + path, headers=headers) as response,
    ):
        return Answer(response.status, response.headers.copy(), await response.read())


@pytest.fixture
async def overdue(start_gateway: Gateways, tenant: Tenants, make_model: Models, simulator: Simulator) -> Tenant:
    """A tenant whose request's function died: its hold is over and nobody has let it go."""
    gate = f"dying-{secrets.token_hex(4)}"
    dying, customer, model = start_gateway(), tenant(), make_model(f"gate={gate}")
    request = asyncio.create_task(ask(dying, customer, model))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    dying.kill()
    with pytest.raises(aiohttp.ClientError):
        await request
    simulator.open_gate(gate)
    customer.books.make_holds_overdue()
    return customer


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_the_sweep_lets_go_of_what_a_dead_function_held(
    gateway: RunningGateway, overdue: Tenant, method: str
) -> None:
    assert [hold.state for hold in overdue.books.holds()] == ["held"]
    answer = await call(gateway, SWEEP, AS_SCHEDULER, method)
    assert (answer.status, answer.json["job"]) == (200, "settlement_sweep")
    assert answer.json["wallets"] >= 1
    assert [hold.state for hold in overdue.books.holds()] == ["expired"]
    assert overdue.books.broken_rules() == []
    assert (await call(gateway, SWEEP, AS_SCHEDULER)).json["wallets"] == 0


async def test_sweeps_at_once_do_the_work_once(gateway: RunningGateway, overdue: Tenant) -> None:
    answers = await asyncio.gather(*(call(gateway, SWEEP, AS_SCHEDULER) for _ in range(8)))
    assert {answer.status for answer in answers} == {200}
    assert [hold.state for hold in overdue.books.holds()] == ["expired"]
    assert overdue.books.broken_rules() == []


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer "},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": f"Bearer {SECRET}x"},
        {"Authorization": f"Bearer {SECRET[:-1]}"},
        {"Authorization": "Bearer \xe9"},
        {"x-api-key": SECRET},
        {"x-vercel-cron": "1", "User-Agent": "vercel-cron/1.0"},
    ],
)
async def test_who_does_not_know_the_secret_starts_nothing(gateway: RunningGateway, headers: dict[str, str]) -> None:
    for path in (SWEEP, "/internal/jobs/none"):
        answer = await call(gateway, path, headers)
        assert (answer.status, answer.error["code"]) == (401, "wrong_cron_secret")
        assert (answer.error["type"], answer.headers["WWW-Authenticate"]) == ("authentication_error", "Bearer")


async def test_an_unknown_job_is_named_as_such(gateway: RunningGateway) -> None:
    answer = await call(gateway, "/internal/jobs/none", AS_SCHEDULER)
    assert (answer.status, answer.error["code"]) == (404, "unknown_job")
    assert "settlement_sweep" in answer.error["message"]


@pytest.mark.parametrize("store", ["postgrest", "redis"])
async def test_a_job_whose_store_is_away_fails_aloud(stack: LocalStack, gateway: RunningGateway, store: str) -> None:
    with stack.without(store):
        answer = await call(gateway, SWEEP, AS_SCHEDULER)
    assert (answer.status, answer.error["code"]) == (503, "storage_unavailable")


async def test_the_sweep_makes_late_settlements_and_gives_up_poison(
    bench: Bench, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("tokens=4")
    await call(gateway, SWEEP, AS_SCHEDULER)
    url = f"{bench.stack.simulator_url}/openrouter/v1/chat/completions"
    body = {"model": model.upstream_model, "messages": HELLO}
    async with bench.session.post(url, json=body, headers={"Authorization": "Bearer k"}) as response:
        upstream_id = response.headers["X-Generation-Id"]
    generation_id, price_id = await bench.admit(customer, model)
    await bench.put(record(generation_id, usage(price_id), look_up=look_up(upstream_id)))
    await bench.put_text("not a record")
    answer = await call(gateway, SWEEP, AS_SCHEDULER)
    assert answer.json == {
        "job": "settlement_sweep",
        "late_settled": 1,
        "late_waiting": 0,
        "dead_letters": 1,
        "wallets": 0,
        "answers_erased": 0,
        "alarms": 0,
    }
    (line,) = bench.lines(customer)
    assert (line["usage_source"], line["charged_nanos"]) == ("lookup", simulator.bill_nanos(model.upstream_model))
    assert customer.books.broken_rules() == []


async def test_a_sweep_that_is_killed_leaves_what_it_had_taken_to_the_next(
    bench: Bench, tenant: Tenants, make_model: Models, open_wire: Callable[[str], Wire]
) -> None:
    customer, wire = tenant(), open_wire(bench.stack.supabase_url)
    generation_id, price_id = await bench.admit(customer, make_model())
    await bench.put(record(generation_id, usage(price_id)))
    with wire.broken(Fault(answer_delay_s=3)):
        process = await start_command(bench.stack, "settlement_sweep", SUPABASE_URL=wire.url)
        for _ in range(1000):
            if bench.lines(customer):
                break
            await asyncio.sleep(0.02)
        process.kill()
        await process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert [each.generation_id for each in await bench.listed()] == [generation_id]
    # The lease began by the other process's clock, some seconds after ours was set.
    bench.wait(2 * LEASE_MS / 1000)
    assert (await settle_late(bench.means())).settled == 1
    assert [line["charged_nanos"] for line in bench.lines(customer)] == [20_000]
    assert await bench.listed() == []


async def test_without_a_cron_secret_nobody_starts_a_job_over_http(start_gateway: Gateways) -> None:
    gateway = start_gateway(CRON_SECRET=None)
    for headers in ({}, {"Authorization": "Bearer "}, AS_SCHEDULER):
        answer = await call(gateway, SWEEP, headers)
        assert (answer.status, answer.error["code"]) == (501, "not_configured")
        assert "CRON_SECRET" in answer.error["message"]


def test_a_cron_secret_that_is_too_short_keeps_the_function_from_starting(start_gateway: Gateways) -> None:
    with pytest.raises(StackError, match="CRON_SECRET needs at least 16 characters"):
        start_gateway(CRON_SECRET="short")


async def start_command(stack: LocalStack, *arguments: str, **changes: str) -> Process:
    return await asyncio.create_subprocess_exec(
        sys.executable, "-m", "functions.scheduled", *arguments,
        cwd=ROOT, env={**gateway_environment(stack, {}), **changes}, stdout=PIPE, stderr=PIPE,
    )  # fmt: skip


async def run_command(stack: LocalStack, *arguments: str) -> tuple[int | None, bytes, bytes]:
    process = await start_command(stack, *arguments)
    out, err = await asyncio.wait_for(process.communicate(), 30)
    return process.returncode, out, err


async def test_a_job_is_a_command_too(stack: LocalStack, overdue: Tenant) -> None:
    status, out, _ = await run_command(stack, "settlement_sweep")
    assert status == 0
    assert json.loads(out.splitlines()[-1])["wallets"] >= 1
    assert [hold.state for hold in overdue.books.holds()] == ["expired"]


async def test_a_command_for_no_job_lists_those_that_there_are(stack: LocalStack) -> None:
    status, _, err = await run_command(stack, "none")
    assert status == 2
    assert b"settlement_sweep" in err
