"""Late settlements: each once, whatever dies or is away meanwhile, and none lost."""

import asyncio
import json
from collections.abc import Callable

import pytest

from shared.core.ids import PriceId, new_generation_id
from shared.flows.settle_late import (
    BATCH,
    LOOK_UP_LIMIT_S,
    MAX_TRIES,
    RETRY_PAUSES_S,
    LateCounts,
    settle_late,
)
from shared.ledger.late import LEASE_MS
from shared.ledger.types import Quantities, Settlement
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel
from tests.harness.wire import Exchange, Fault, Wire
from tests.shared.flows.late_support import Bench, look_up, record, usage

OpenWire = Callable[[str], Wire]
Captured = pytest.CaptureFixture[str]


@pytest.fixture
def customer(tenant: Tenants) -> Tenant:
    return tenant()


@pytest.fixture(scope="module")
def model(make_model: Models) -> TestModel:
    """A token of input costs 1,000 nano-dollars, one of output 2,000."""
    return make_model()


def is_settle(exchange: Exchange) -> bool:
    return exchange.path.endswith("/settle")


def events(captured: Captured) -> list[dict[str, object]]:
    return [json.loads(line) for line in captured.readouterr().out.splitlines()]


async def until(is_so: Callable[[], bool]) -> None:
    for _ in range(150):
        if is_so():
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come so far")


async def died_with(bench: Bench, customer: Tenant, model: TestModel, count: int) -> list[str]:
    """Have requests admitted and put on the list; return their ids."""
    ids = []
    for _ in range(count):
        generation_id, price_id = await bench.admit(customer, model)
        await bench.put(record(generation_id, usage(price_id)))
        ids.append(str(generation_id))
    return ids


async def test_a_record_that_is_due_is_settled_and_gone(bench: Bench, customer: Tenant, model: TestModel) -> None:
    await died_with(bench, customer, model, 1)
    assert await settle_late(bench.means()) == LateCounts(settled=1, waiting=0, buried=0)
    (line,) = bench.lines(customer)
    assert (line["charged_nanos"], line["is_late"], line["usage_source"]) == (20_000, False, "counted")
    assert await bench.listed() == []
    assert customer.books.holds("held") == []
    assert customer.books.broken_rules() == []


async def test_a_record_whose_time_has_not_come_stays(bench: Bench, customer: Tenant, model: TestModel) -> None:
    generation_id, price_id = await bench.admit(customer, model)
    await bench.means().late.put(record(generation_id, usage(price_id)), due_ms=bench.clock() + 1)
    assert await settle_late(bench.means()) == LateCounts(settled=0, waiting=0, buried=0)
    assert len(await bench.listed()) == 1


async def test_sweeps_at_once_settle_each_record_once(
    bench: Bench, customer: Tenant, model: TestModel, open_wire: OpenWire
) -> None:
    ids = await died_with(bench, customer, model, 3 * BATCH)
    wire = open_wire(bench.stack.supabase_url)
    swept = await asyncio.gather(*(settle_late(bench.means(wire.url)) for _ in range(4)))
    assert sum(counts.settled for counts in swept) == len(ids)
    asked = [json.loads(exchange.body)["p_generation_id"] for exchange in wire.exchanges("/settle")]
    assert sorted(asked) == sorted(ids)
    assert sum(line["charged_nanos"] for line in bench.lines(customer)) == 20_000 * len(ids)
    assert await bench.listed() == []
    assert customer.books.broken_rules() == []


@pytest.mark.parametrize("fault", [Fault(delay_s=2), Fault(answer_delay_s=2)], ids=["asked", "settled"])
async def test_a_sweep_that_dies_after_taking_loses_nothing_and_charges_once(
    bench: Bench, customer: Tenant, model: TestModel, open_wire: OpenWire, fault: Fault
) -> None:
    ids = await died_with(bench, customer, model, 5)
    wire = open_wire(bench.stack.supabase_url)

    def is_far_enough() -> bool:
        done = bench.lines(customer) if fault.answer_delay_s else wire.exchanges("/settle")
        return len(done) == len(ids)

    with wire.broken(fault):
        dying = asyncio.create_task(settle_late(bench.means(wire.url)))
        await until(is_far_enough)
        dying.cancel()
        with pytest.raises(asyncio.CancelledError):
            await dying
    assert await settle_late(bench.means()) == LateCounts(settled=0, waiting=0, buried=0)
    bench.wait(LEASE_MS / 1000)
    assert (await settle_late(bench.means())).settled == len(ids)
    assert [line["charged_nanos"] for line in bench.lines(customer)] == [20_000] * len(ids)
    assert await bench.listed() == []
    assert customer.books.broken_rules() == []


async def test_what_was_settled_in_time_is_left_as_it_is(bench: Bench, customer: Tenant, model: TestModel) -> None:
    """The settlement was made but its answer was lost, or a crash note could not be removed."""
    generation_id, price_id = await bench.admit(customer, model)
    settled = await bench.means().ledger.settle(generation_id, usage(price_id))
    assert isinstance(settled, Settlement)
    await bench.put(record(generation_id, usage(price_id, waived_reason="crashed")))
    assert (await settle_late(bench.means())).settled == 1
    (line,) = bench.lines(customer)
    assert (line["charged_nanos"], line["waived_reason"]) == (20_000, None)


async def answer_of(bench: Bench, simulator: Simulator, model: str) -> str:
    """Have the simulated provider answer and return the id of its answer."""
    body = {"model": model, "messages": [{"role": "user", "content": "Hello"}]}
    url = f"{bench.stack.simulator_url}/openrouter/v1/chat/completions"
    async with bench.session.post(url, json=body, headers={"Authorization": "Bearer k"}) as response:
        return response.headers["X-Generation-Id"]


async def test_a_look_up_that_is_not_there_for_a_while_is_made_again_until_it_is(
    bench: Bench, customer: Tenant, model: TestModel, simulator: Simulator
) -> None:
    name = f"sim/tokens=7,record_after_ms=700,key={new_generation_id().hex}"
    generation_id, price_id = await bench.admit(customer, model)
    asked = look_up(await answer_of(bench, simulator, name))
    await bench.put(record(generation_id, usage(price_id), look_up=asked))
    assert await settle_late(bench.means()) == LateCounts(settled=0, waiting=1, buried=0)
    assert len(customer.books.holds("held")) == 1
    await asyncio.sleep(0.8)
    assert await settle_late(bench.means()) == LateCounts(settled=0, waiting=0, buried=0), "it was asked at once again"
    bench.wait(5)
    assert await settle_late(bench.means()) == LateCounts(settled=1, waiting=0, buried=0)
    (served,), (line,) = simulator.requests(name), bench.lines(customer)
    assert (line["input_tokens"], line["output_tokens"]) == (served["prompt_tokens"], served["completion_tokens"])
    assert line["usage_source"] == "lookup"
    assert line["charged_nanos"] == simulator.bill_nanos(name)
    assert await bench.listed() == []


async def test_a_look_up_that_finds_nothing_is_given_up_after_an_hour_and_what_we_counted_stands(
    bench: Bench, customer: Tenant, model: TestModel, capsys: Captured
) -> None:
    generation_id, price_id = await bench.admit(customer, model)
    await bench.put(record(generation_id, usage(price_id), look_up=look_up("gen-sim-none"), since_ms=bench.clock()))
    sweeps = 0
    while bench.lines(customer) == []:
        await settle_late(bench.means())
        bench.wait(60)
        sweeps += 1
        assert sweeps <= 100
    assert sweeps == LOOK_UP_LIMIT_S // 60 + 1
    (line,) = bench.lines(customer)
    assert (line["charged_nanos"], line["usage_source"]) == (20_000, "counted")
    assert await bench.listed() == []
    assert "look_up_given_up" in [event["event"] for event in events(capsys)]


async def test_a_provider_that_is_away_or_not_configured_is_waited_for(
    bench: Bench, customer: Tenant, model: TestModel, unused_tcp_port: int
) -> None:
    generation_id, price_id = await bench.admit(customer, model)
    await bench.put(record(generation_id, usage(price_id), look_up=look_up("gen-sim-1")))
    assert (await settle_late(bench.means(openrouter_url=f"http://127.0.0.1:{unused_tcp_port}"))).waiting == 1
    bench.wait(5)
    nobody = bench.means()
    nobody.providers.clear()  # type: ignore[attr-defined]
    assert (await settle_late(nobody)).waiting == 1
    assert len(await bench.listed()) == 1


async def test_a_request_that_died_is_paid_by_the_house_as_its_provider_says(
    bench: Bench, customer: Tenant, model: TestModel, simulator: Simulator
) -> None:
    """The crash note: due after the hold's end, it charges nothing and books what the provider took."""
    name = f"sim/tokens=7,key={new_generation_id().hex}"
    generation_id, price_id = await bench.admit(customer, model, lifetime_s=1)
    note = record(
        generation_id,
        usage(price_id, waived_reason="crashed"),
        look_up=look_up(await answer_of(bench, simulator, name)),
    )
    await bench.means().late.put(note, due_ms=bench.clock() + 3_000)
    assert await settle_late(bench.means()) == LateCounts(settled=0, waiting=0, buried=0)
    await asyncio.sleep(1.1)
    bench.wait(3)
    assert (await settle_late(bench.means())).settled == 1
    (served,), (line,) = simulator.requests(name), bench.lines(customer)
    assert (line["charged_nanos"], line["cost_nanos"], line["waived_reason"]) == (0, 0, "crashed")
    assert (line["output_tokens"], line["usage_source"]) == (served["completion_tokens"], "lookup")
    assert line["provider_cost_nanos"] > 0
    assert customer.books.holds("held") == []
    assert customer.balance()["posted_nanos"] == customer.balance()["available_nanos"]
    assert customer.books.broken_rules() == []


async def test_poison_ends_as_dead_letters_and_the_rest_goes_on(
    bench: Bench, customer: Tenant, model: TestModel, capsys: Captured
) -> None:
    voided, price_id = await bench.admit(customer, model)
    await bench.means().ledger.void_hold(voided)
    unknown = new_generation_id()
    for generation_id in (voided, unknown):
        await bench.put(record(generation_id, usage(price_id, answer="sealed answer")))
    await bench.put_text('{"usage": {"answer": "sealed answer"}, "no": "record \\ud83d\\u0000"}')
    await bench.put_text("not JSON \0 sealed")
    good = await died_with(bench, customer, model, 2)
    assert await settle_late(bench.means()) == LateCounts(settled=2, waiting=0, buried=4)
    assert sorted(line["generation_id"] for line in bench.lines(customer)) == sorted(good)
    assert await bench.listed() == []

    buried = [event for event in events(capsys) if event["event"] == "late_settlement_buried"]
    assert {event["level"] for event in buried} == {"error"}
    letters = bench.letters(*(str(event["subject"]) for event in buried))
    reasons = {letter["subject"]: letter["reason"] for letter in letters}
    assert (reasons[str(voided)], reasons[str(unknown)]) == ("hold_voided", "unknown_hold")
    assert sorted(reasons.values()) == ["hold_voided", "undecodable", "undecodable", "unknown_hold"]
    (kept,) = bench.letters(str(voided))
    assert kept["payload"]["usage"]["quantities"]["output_tokens"] == 5
    assert "sealed answer" not in json.dumps([bench.letters(str(voided)), bench.letters(str(unknown))])


async def test_poison_that_looks_like_an_outage_is_given_up_after_its_tries(
    bench: Bench, customer: Tenant, model: TestModel
) -> None:
    """A price that does not exist is an exception in the database, which says no more than that it failed."""
    generation_id, price_id = await bench.admit(customer, model)
    await bench.put(record(generation_id, usage(PriceId(price_id + 1_000_000), upstream_id="gen \0 1")))
    (good,) = await died_with(bench, customer, model, 1)
    counts = await settle_late(bench.means())
    assert (counts.settled, counts.waiting) == (1, 1)
    assert [line["generation_id"] for line in bench.lines(customer)] == [good]
    for _ in range(MAX_TRIES):
        assert bench.letters(str(generation_id)) == []
        bench.wait(RETRY_PAUSES_S[-1])
        counts = await settle_late(bench.means())
    assert (counts.waiting, counts.buried) == (0, 1)
    (letter,) = bench.letters(str(generation_id))
    assert (letter["reason"], letter["tries"]) == ("not_settled", MAX_TRIES)
    assert await bench.listed() == []


@pytest.mark.parametrize("fault", [Fault(status=500), Fault(refuses=True), Fault(status=200)])
async def test_while_the_store_is_away_nothing_is_lost_or_given_up(
    bench: Bench, customer: Tenant, model: TestModel, open_wire: OpenWire, fault: Fault
) -> None:
    ids = await died_with(bench, customer, model, BATCH + 1)
    wire = open_wire(bench.stack.supabase_url)
    with wire.broken(fault):
        assert await settle_late(bench.means(wire.url)) == LateCounts(settled=0, waiting=BATCH, buried=0)
        for _ in range(MAX_TRIES + 5):
            bench.wait(RETRY_PAUSES_S[-1])
            counts = await settle_late(bench.means(wire.url))
            assert (counts.settled, counts.buried) == (0, 0)
    listed = await bench.listed()
    assert sorted(str(each.generation_id) for each in listed) == sorted(ids)
    # An outage says nothing about a record, however long it lasts.
    assert {each.tries for each in listed} == {0}
    bench.wait(RETRY_PAUSES_S[-1] + LEASE_MS / 1000)
    assert (await settle_late(bench.means(wire.url))).settled == len(ids)
    assert [line["charged_nanos"] for line in bench.lines(customer)] == [20_000] * len(ids)
    assert customer.books.broken_rules() == []


async def test_with_one_of_three_settlements_failing_all_are_settled_in_the_end(
    bench: Bench, customer: Tenant, model: TestModel, open_wire: OpenWire
) -> None:
    ids = await died_with(bench, customer, model, 30)
    wire = open_wire(bench.stack.supabase_url)
    seen: list[str] = []

    def is_third(exchange: Exchange) -> bool:
        if not is_settle(exchange):
            return False
        seen.append(exchange.path)
        return len(seen) % 3 == 0

    with wire.broken(Fault(status=500, matches=is_third)):
        settled = 0
        for _ in range(10):
            settled += (await settle_late(bench.means(wire.url))).settled
            bench.wait(RETRY_PAUSES_S[-1])
    assert settled == len(ids)
    assert [line["charged_nanos"] for line in bench.lines(customer)] == [20_000] * len(ids)
    assert await bench.listed() == []


async def test_a_shortfall_of_a_late_settlement_is_said_aloud(
    bench: Bench, tenant: Tenants, model: TestModel, capsys: Captured
) -> None:
    poor = tenant(credit_nanos=50_000)
    generation_id, price_id = await bench.admit(poor, model)
    from_nothing = usage(price_id, quantities=Quantities(input_tokens=10, output_tokens=500))
    await bench.put(record(generation_id, from_nothing))
    assert (await settle_late(bench.means())).settled == 1
    (line,) = bench.lines(poor)
    assert (line["cost_nanos"], line["charged_nanos"]) == (1_010_000, 50_000)
    (event,) = [event for event in events(capsys) if event["event"] == "shortfall_booked"]
    assert (event["level"], event["shortfall_nanos"]) == ("error", 960_000)


async def test_a_provider_that_does_not_answer_holds_up_no_settlement_that_asks_nobody(
    bench: Bench, customer: Tenant, model: TestModel, open_wire: OpenWire
) -> None:
    provider = open_wire(bench.stack.simulator_url)
    for _ in range(BATCH + 1):
        generation_id, price_id = await bench.admit(customer, model)
        await bench.put(record(generation_id, usage(price_id), look_up=look_up("gen-sim-1")))
    bench.wait(1)
    generation_id, price_id = await bench.admit(customer, model)
    await bench.put(record(generation_id, usage(price_id)))
    with provider.broken(Fault(delay_s=30)):
        sweep = asyncio.create_task(settle_late(bench.means(openrouter_url=f"{provider.url}/openrouter/v1")))
        # Far less than one look-up takes to be given up.
        await until(lambda: len(bench.lines(customer)) == 1)
        counts = await sweep
    assert (counts.settled, counts.waiting) == (1, BATCH + 1)
