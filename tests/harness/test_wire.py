from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

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


@pytest.mark.parametrize(
    ("fault", "is_asked"),
    [
        (Fault(refuses=True), False),
        (Fault(status=500), False),
        (Fault(answer_delay_s=5, patience_s=0.5), True),
        (Fault(drops_answer=True), True),
        (Fault(drops_at=b""), True),
        (Fault(drops_at=b"held_nanos"), True),
        (Fault(drops_at=b"what never comes"), True),
    ],
)
async def test_whoever_wants_to_know_is_told_at_the_break_and_before_the_other_side_sees_it(
    stack: LocalStack, open_wire: OpenWire, fault: Fault, is_asked: bool
) -> None:
    wire = open_wire(stack.supabase_url)
    told: list[int | None] = []
    tells = replace(fault, on_match=lambda: told.append(wire.exchanges()[-1].status))
    with wire.broken(tells):
        with suppress(aiohttp.ClientError):
            assert await _read(stack, wire) == 500
        assert told == [200 if is_asked else None]
    assert await _read(stack, wire) == 200
    assert len(told) == 1


async def test_a_stream_breaks_off_in_front_of_the_bytes_that_were_named(
    stack: LocalStack, open_wire: OpenWire
) -> None:
    wire, received = open_wire(stack.simulator_url), b""
    body = {"model": "sim/tokens=9,pace_ms=20", "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    with wire.broken(Fault(drops_at=b"tok5")), pytest.raises(aiohttp.ClientError):
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer any"}) as session,
            session.post(f"{wire.url}/chutes/v1/chat/completions", json=body) as response,
        ):
            async for chunk in response.content.iter_any():
                received += chunk
    assert b"tok4" in received
    assert b"tok5" not in received


@pytest.mark.parametrize(("pace_ms", "is_whole"), [(200, True), (2_000, False)])
async def test_a_stream_that_falls_silent_breaks_off_and_one_that_is_slow_does_not(
    stack: LocalStack, open_wire: OpenWire, pace_ms: int, is_whole: bool
) -> None:
    wire, received = open_wire(stack.simulator_url), b""
    model = f"sim/tokens=6,pace_ms={pace_ms}"
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": "Hello"}]}
    with wire.broken(Fault(silence_limit_s=0.8)), suppress(aiohttp.ClientError):
        async with (
            aiohttp.ClientSession(headers={"Authorization": "Bearer any"}) as session,
            session.post(f"{wire.url}/chutes/v1/chat/completions", json=body) as response,
        ):
            async for chunk in response.content.iter_any():
                received += chunk
    assert b"tok0" in received
    assert (b"tok5" in received) == is_whole
