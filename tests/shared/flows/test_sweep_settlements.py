"""The sweep as a whole: late settlements, overdue holds, old answers, and what it does with half of its stores."""

import asyncio

import pytest
from msgspec.structs import replace

from shared.clients.redis import Redis
from shared.core.errors import StoreUnavailable
from shared.flows.sweep_settlements import SweepCounts, sweep_settlements
from shared.ledger.late import LateSettlements
from shared.ledger.types import Claim
from tests.harness.tenants import Models, Tenants
from tests.shared.flows.late_support import Bench, record, usage


async def test_a_sweep_settles_lets_go_and_erases(bench: Bench, tenant: Tenants, make_model: Models) -> None:
    await sweep_settlements(bench.means())
    late, dead, answered, model = tenant(), tenant(), tenant(), make_model()
    generation_id, price_id = await bench.admit(late, model)
    await bench.put(record(generation_id, usage(price_id)))
    await bench.admit(dead, model, lifetime_s=1)
    claim = Claim(key_hmacs=("aa",), body_hmacs=("bb",), is_retry=False, lifetime_s=1)
    generation_id, price_id = await bench.admit(answered, model, claim=claim)
    await bench.means().ledger.settle(generation_id, usage(price_id, answer="sealed"))
    await asyncio.sleep(1.1)
    swept = await sweep_settlements(bench.means())
    assert (swept.late.settled, swept.wallets, swept.answers_erased) == (1, 1, 1)
    assert [line["charged_nanos"] for line in bench.lines(late)] == [20_000]
    assert [hold.state for hold in dead.books.holds()] == ["expired"]
    swept = await sweep_settlements(bench.means())
    assert swept == SweepCounts(late=replace(swept.late, settled=0, waiting=0, buried=0), wallets=0, answers_erased=0)
    for customer in (late, dead, answered):
        assert customer.books.broken_rules() == []


async def test_without_redis_holds_are_let_go_all_the_same_and_the_sweep_fails_aloud(
    bench: Bench, tenant: Tenants, make_model: Models, unused_tcp_port: int, capsys: pytest.CaptureFixture[str]
) -> None:
    customer = tenant()
    await bench.admit(customer, make_model(), lifetime_s=1)
    await asyncio.sleep(1.1)
    away = Redis(bench.session, url=f"http://127.0.0.1:{unused_tcp_port}", token="t")
    with pytest.raises(StoreUnavailable, match="late settlements"):
        await sweep_settlements(replace(bench.means(), late=LateSettlements(away, bench.clock)))
    assert [hold.state for hold in customer.books.holds()] == ["expired"]
    assert "late_settlements_unread" in capsys.readouterr().out


async def test_without_the_database_the_sweep_fails_aloud_and_loses_nothing(
    bench: Bench, tenant: Tenants, make_model: Models, unused_tcp_port: int
) -> None:
    customer = tenant()
    generation_id, price_id = await bench.admit(customer, make_model())
    await bench.put(record(generation_id, usage(price_id)))
    with pytest.raises(StoreUnavailable, match="database"):
        await sweep_settlements(bench.means(f"http://127.0.0.1:{unused_tcp_port}"))
    assert [each.generation_id for each in await bench.listed()] == [generation_id]
