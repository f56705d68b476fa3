from collections.abc import Callable

import aiohttp
import pytest

from infra.local.stack import LocalStack
from tests.harness.wire import Fault, Wire

READ = "/rest/v1/rpc/read_balance"

OpenWire = Callable[[str], Wire]


async def _read(stack: LocalStack, wire: Wire) -> int:
    headers = {"apikey": stack.credentials.secret_key}
    async with (
        aiohttp.ClientSession() as session,
        session.post(wire.url + READ, json={"p_account_id": 0}, headers=headers) as response,
    ):
        await response.read()
        return response.status


async def test_a_wire_passes_on_and_writes_down(stack: LocalStack, open_wire: OpenWire) -> None:
    wire = open_wire(stack.supabase_url)
    assert await _read(stack, wire) == 200
    (exchange,) = wire.exchanges("read_balance")
    assert (exchange.method, exchange.path, exchange.status) == ("POST", READ, 200)
    assert exchange.body == b'{"p_account_id": 0}'
    assert exchange.ended_at is not None
    assert exchange.started_at <= exchange.ended_at


async def test_a_broken_wire_answers_a_status_without_asking_the_store(stack: LocalStack, open_wire: OpenWire) -> None:
    wire = open_wire(stack.supabase_url)
    with wire.broken(Fault(status=500), times=1):
        assert [await _read(stack, wire) for _ in range(2)] == [500, 200]


@pytest.mark.parametrize("fault", [Fault(refuses=True), Fault(drops_answer=True)])
async def test_a_broken_wire_hangs_up(stack: LocalStack, open_wire: OpenWire, fault: Fault) -> None:
    wire = open_wire(stack.supabase_url)
    with wire.broken(fault), pytest.raises(aiohttp.ClientError):
        await _read(stack, wire)
    assert [exchange.status for exchange in wire.exchanges()] == [200 if fault.drops_answer else None]
    assert await _read(stack, wire) == 200


async def test_a_slow_wire_delays_only_what_matches(stack: LocalStack, open_wire: OpenWire) -> None:
    wire = open_wire(stack.supabase_url)
    with wire.broken(Fault(delay_s=0.2, matches=lambda exchange: b'"p_account_id": 0' in exchange.body)):
        assert await _read(stack, wire) == 200
    (exchange,) = wire.exchanges()
    assert exchange.ended_at is not None
    assert exchange.ended_at - exchange.started_at >= 0.2
