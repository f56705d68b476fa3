"""Who tries a provider whose breaker has been open for its time: one request of all instances, just before it asks."""

import asyncio
from collections.abc import Callable

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.routing.health import FRESH_MS, ProviderHealth, Turn
from shared.routing.offer_health import FAILURES_TO_OPEN, KEPT_MS, LONG_BEFORE_MS, OPEN_MS, PROBE_MS, Breaker
from shared.routing.store import SharedHealth
from tests.shared.limits.support import Clock
from tests.shared.routing.support import FIRST, MODEL, SECOND, Instance

Make = Callable[[], Instance]


@pytest.fixture
async def half_open(make_instance: Make, clock: Clock) -> list[Instance]:
    """Instances that know of a provider which may be tried again."""
    instances = [make_instance() for _ in range(4)]
    await instances[0].fail(FAILURES_TO_OPEN)
    for instance in instances:
        assert await instance.turn() is Turn.WAIT
    clock.now_ms += OPEN_MS
    return instances


async def test_of_all_requests_of_all_instances_one_probes(half_open: list[Instance]) -> None:
    turns = await asyncio.gather(*(instance.turn() for instance in half_open for _ in range(5)))
    assert sorted(turns) == [Turn.PROBE] + [Turn.WAIT] * 19
    assert {instance.breaker() for instance in half_open} == {Breaker.HALF_OPEN}


async def test_looking_takes_no_probe(half_open: list[Instance], clock: Clock) -> None:
    one, other = half_open[:2]
    for _ in range(5):
        clock.now_ms += FRESH_MS
        await one.look()
    assert await other.turn() is Turn.PROBE


async def test_who_looks_hears_that_a_probe_is_out(half_open: list[Instance], clock: Clock) -> None:
    one, other = half_open[:2]
    assert await one.turn() is Turn.PROBE
    clock.now_ms += FRESH_MS
    await other.look()
    assert not other.memory.of(FIRST, MODEL).awaits_probe(clock.now_ms)
    assert other.memory.opens_in_ms([(FIRST, MODEL)]) == PROBE_MS - FRESH_MS


async def test_a_provider_that_is_well_costs_no_call(unused_tcp_port: int, clock: Clock) -> None:
    async with aiohttp.ClientSession() as session:
        shared = SharedHealth(
            Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token="t"), ProviderHealth(clock)
        )
        assert await shared.take_turn(FIRST, MODEL) is Turn.ASK


async def test_a_probe_that_is_answered_closes_the_breaker_for_all(half_open: list[Instance], clock: Clock) -> None:
    one, other = half_open[:2]
    assert await other.turn() is Turn.PROBE
    await other.answer()
    clock.now_ms += FRESH_MS
    assert await one.turn() is Turn.ASK
    # Four failures are again no reason.
    await one.fail(FAILURES_TO_OPEN - 1)
    assert one.breaker() is Breaker.CLOSED


async def test_a_stream_that_begins_lets_others_in_until_the_next_failure(
    half_open: list[Instance], clock: Clock
) -> None:
    one, other = half_open[:2]
    assert await one.turn() is Turn.PROBE
    one.memory.record_beginning(FIRST, MODEL, first_byte_ms=100)
    assert one.memory.untold.has_news
    await one.report()
    clock.now_ms += FRESH_MS
    assert await other.turn() is Turn.ASK
    await one.fail(1)
    clock.now_ms += FRESH_MS
    assert await other.turn() is Turn.WAIT
    assert other.breaker() is Breaker.OPEN


async def test_a_stream_that_began_before_it_opened_does_not_close_it(make_instance: Make) -> None:
    one = make_instance()
    await one.fail(FAILURES_TO_OPEN)
    one.memory.record_beginning(FIRST, MODEL, first_byte_ms=9_000)
    await one.report()
    assert one.breaker() is Breaker.OPEN


@pytest.mark.parametrize("later_ms", [0, OPEN_MS])
async def test_an_answer_that_was_asked_for_before_it_opened_does_not_close_it(
    make_instance: Make, clock: Clock, later_ms: int
) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += later_ms
    other.memory.record_answer(FIRST, MODEL, took_ms=later_ms + 1)
    await other.report()
    assert other.breaker() is (Breaker.HALF_OPEN if later_ms else Breaker.OPEN)
    assert other.memory.of(FIRST, MODEL).failures == FAILURES_TO_OPEN


async def test_streams_from_before_an_outage_do_not_hide_it(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    for _ in range(2):
        await one.fail(FAILURES_TO_OPEN - 1)
        other.memory.record_answer(FIRST, MODEL, took_ms=LONG_BEFORE_MS + 1)
        await other.report()
        clock.now_ms += 1_000
    assert other.breaker() is Breaker.OPEN


async def test_answers_among_few_failures_begin_the_count_anew(make_instance: Make, clock: Clock) -> None:
    one = make_instance()
    for _ in range(2 * FAILURES_TO_OPEN):
        await one.fail(1)
        one.memory.record_answer(FIRST, MODEL, took_ms=LONG_BEFORE_MS)
        await one.report()
        clock.now_ms += 1_000
    assert one.breaker() is Breaker.CLOSED


async def test_an_answer_takes_no_limit_back(make_instance: Make, clock: Clock) -> None:
    one = make_instance()
    one.memory.record_limit(FIRST, MODEL, retry_after_s=60)
    await one.answer()
    assert one.memory.of(FIRST, MODEL).limited_until_ms == clock.now_ms + 60_000


async def test_a_probe_that_fails_opens_it_for_as_long_again(half_open: list[Instance], clock: Clock) -> None:
    one, other = half_open[:2]
    assert await other.turn() is Turn.PROBE
    await other.fail(1)
    assert other.breaker() is Breaker.OPEN
    clock.now_ms += OPEN_MS - 1
    assert await one.turn() is Turn.WAIT
    clock.now_ms += 1
    assert await one.turn() is Turn.PROBE


async def test_a_probe_that_is_given_back_is_made_by_another_at_once(half_open: list[Instance]) -> None:
    one, other = half_open[:2]
    assert await one.turn() is Turn.PROBE
    one.memory.give_back_probe(FIRST, MODEL)
    await one.shared.send_news()
    assert await other.turn() is Turn.PROBE


async def test_a_probe_that_never_comes_back_is_somebody_else_s(half_open: list[Instance], clock: Clock) -> None:
    one, other = half_open[:2]
    assert await one.turn() is Turn.PROBE
    clock.now_ms += PROBE_MS - 1
    assert await other.turn() is Turn.WAIT
    clock.now_ms += 1
    assert await other.turn() is Turn.PROBE


async def test_a_request_that_ends_while_it_claims_gives_back_nobody_s_probe(half_open: list[Instance]) -> None:
    one, other, third = half_open[:3]
    assert await one.turn() is Turn.PROBE
    claiming = asyncio.ensure_future(other.shared.take_turn(FIRST, MODEL))
    await asyncio.sleep(0)
    claiming.cancel()
    await asyncio.wait({claiming})
    assert claiming.cancelled()
    assert other.shared.report() is None
    assert await third.turn() is Turn.WAIT


async def test_a_breaker_that_nobody_probes_is_closed_until_the_next_failure(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS + KEPT_MS - 1
    await other.look()
    assert other.breaker() is Breaker.HALF_OPEN
    clock.now_ms += 1
    assert await one.turn() is await other.turn() is Turn.ASK
    await other.fail(1)
    assert other.breaker() is Breaker.OPEN


async def test_a_probe_is_one_provider_s(half_open: list[Instance]) -> None:
    one = half_open[0]
    await one.fail(FAILURES_TO_OPEN, SECOND)
    assert (await one.turn(SECOND), await one.turn()) == (Turn.WAIT, Turn.PROBE)


async def test_without_redis_one_request_of_an_instance_probes(
    unused_tcp_port: int, clock: Clock, stack: LocalStack
) -> None:
    memory = ProviderHealth(clock)
    for _ in range(FAILURES_TO_OPEN):
        memory.record_failure(FIRST, MODEL)
    async with aiohttp.ClientSession() as session:
        away = Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token=stack.credentials.redis_token)
        shared = SharedHealth(away, memory)
        assert await shared.take_turn(FIRST, MODEL) is Turn.WAIT
        clock.now_ms += OPEN_MS
        turns = [await shared.take_turn(FIRST, MODEL) for _ in range(3)]
    assert turns == [Turn.ASK, Turn.WAIT, Turn.WAIT]
    memory.record_answer(FIRST, MODEL, took_ms=0)
    assert memory.of(FIRST, MODEL).breaker(clock.now_ms) is Breaker.CLOSED
