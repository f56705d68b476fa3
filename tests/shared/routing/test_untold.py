"""What an instance has seen and not told yet: it is told once at most, and not forgotten for what is heard."""

import asyncio
from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest
from aiohttp import web

from infra.local.stack import LocalStack
from shared.clients.redis import Redis, RedisUnavailable, Rider, Script
from shared.core.ids import ModelId
from shared.routing.health import FRESH_MS, ProviderHealth, Turn
from shared.routing.offer_health import FAILURES_TO_OPEN, OPEN_MS, Breaker, Event, Reading
from shared.routing.store import SharedHealth
from shared.routing.untold import MAX_LOST, MAX_ON_THEIR_WAY, MAX_PER_CALL, MAX_WAITING, Untold
from tests.shared.limits.support import Clock
from tests.shared.routing.support import FIRST, MODEL, SECOND, Instance

Make = Callable[[], Instance]


@pytest.fixture
async def away(unused_tcp_port: int, stack: LocalStack) -> AsyncIterator[Redis]:
    """Redis where nothing answers."""
    async with aiohttp.ClientSession() as session:
        yield Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token=stack.credentials.redis_token)


@pytest.fixture
async def late(stack: LocalStack) -> AsyncIterator[Redis]:
    """Redis that does what it is told, and answers when nobody waits any more."""
    async with aiohttp.ClientSession() as session:

        async def pass_on(request: web.Request) -> web.Response:
            url, headers = stack.redis_rest_url.rstrip("/") + request.path, {**request.headers}
            async with session.post(url.rstrip("/"), data=await request.read(), headers=headers) as response:
                body = await response.read()
            await asyncio.sleep(0.4)
            return web.Response(body=body, status=response.status, content_type="application/json")

        app = web.Application()
        app.router.add_post("/{path:.*}", pass_on)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield Redis(session, url=url, token=stack.credentials.redis_token)
        await runner.cleanup()


async def ride(redis: Redis, rider: Rider | None) -> None:
    """Make a call that fails, and have something ride along."""
    with pytest.raises(RedisUnavailable):
        await redis.run_script(Script.from_text("return 1"), keys=(), arguments=(), rider=rider)


def reading(number: int) -> Reading:
    return Reading(FIRST, ModelId(f"maker/{number}"), Event.FAILED)


def test_what_waits_is_taken_once_and_the_newest_are_kept() -> None:
    untold = Untold()
    for number in range(10_000):
        untold.add(reading(number), is_news=True)
    taken: list[Reading] = []
    while readings := untold.take():
        assert len(readings) <= MAX_PER_CALL
        assert untold.has_news is (len(taken) + len(readings) < MAX_WAITING)
        taken.extend(readings)
    assert taken == [reading(number) for number in range(10_000 - MAX_WAITING, 10_000)]
    assert untold.readings == tuple(taken)


def test_what_is_lost_is_not_said_again() -> None:
    untold = Untold()
    untold.add(reading(1), is_news=True)
    untold.note_lost(untold.take())
    assert (untold.take(), untold.readings, untold.has_news) == ((), (), False)
    assert untold.lost == (reading(1).pair,)


def test_what_is_kept_of_calls_that_are_lost_is_bounded() -> None:
    untold = Untold()
    for number in range(10 * MAX_ON_THEIR_WAY):
        untold.add(reading(number), is_news=True)
        untold.take()
    assert len(untold.readings) == MAX_ON_THEIR_WAY
    for number in range(10 * MAX_LOST):
        untold.note_lost((reading(number),))
    assert untold.lost == tuple(reading(number).pair for number in range(9 * MAX_LOST, 10 * MAX_LOST))


async def test_a_failure_counts_once_however_late_redis_answers(make_instance: Make, late: Redis, redis: Redis) -> None:
    one, other = make_instance(), make_instance()
    one.memory.record_failure(FIRST, MODEL)
    for _ in range(FAILURES_TO_OPEN):
        one.memory.record_answer(SECOND, MODEL, took_ms=0)
        await ride(late, one.shared.report())
    await other.look()
    assert other.memory.of(FIRST, MODEL).failures == 1


async def test_an_answer_that_was_told_late_does_not_close_what_opened_since(
    make_instance: Make, late: Redis, clock: Clock
) -> None:
    one, other = make_instance(), make_instance()
    one.memory.record_answer(FIRST, MODEL, took_ms=0)
    await ride(late, one.shared.report())
    clock.now_ms += OPEN_MS
    await other.fail(FAILURES_TO_OPEN)
    one.memory.record_answer(SECOND, MODEL, took_ms=0)
    await one.report()
    assert await other.turn() is Turn.WAIT


async def test_a_breaker_that_opened_unheard_is_told_until_redis_has_taken_it(
    make_instance: Make, away: Redis, clock: Clock
) -> None:
    one, other = make_instance(), make_instance()
    for _ in range(FAILURES_TO_OPEN):
        one.memory.record_failure(FIRST, MODEL)
    for _ in range(3):
        await ride(away, one.shared.report())
    clock.now_ms += OPEN_MS // 2
    # What the others say meanwhile, who know nothing of it, opens nothing up.
    await other.answer()
    await one.look()
    assert one.breaker() is Breaker.OPEN
    await one.report()
    assert one.shared.report() is None
    clock.now_ms += FRESH_MS
    assert await other.turn() is Turn.WAIT
    # For as long as it is for who opened it.
    assert other.memory.opens_in_ms([(FIRST, MODEL)]) == OPEN_MS // 2 - FRESH_MS


async def test_a_breaker_that_has_been_open_for_its_time_is_told_no_more(
    make_instance: Make, away: Redis, clock: Clock
) -> None:
    one = make_instance()
    for _ in range(FAILURES_TO_OPEN):
        one.memory.record_failure(FIRST, MODEL)
    await ride(away, one.shared.report())
    clock.now_ms += OPEN_MS
    assert one.shared.report() is None


async def test_an_instance_that_always_has_something_to_tell_hears_the_others(
    make_instance: Make, clock: Clock
) -> None:
    busy, other = make_instance(), make_instance()
    await other.fail(FAILURES_TO_OPEN)
    busy.memory.record_beginning(FIRST, MODEL, first_byte_ms=100)
    await busy.look()
    assert busy.breaker() is Breaker.OPEN


async def test_a_breaker_that_opened_while_redis_was_away_is_open_for_all_afterwards(
    make_instance: Make, away: Redis, redis: Redis, clock: Clock
) -> None:
    memory = ProviderHealth(clock)
    for _ in range(FAILURES_TO_OPEN):
        memory.record_failure(FIRST, MODEL)
    await SharedHealth(away, memory).send_news()
    back, other = Instance(redis, memory, SharedHealth(redis, memory)), make_instance()
    await back.look()
    assert back.breaker() is Breaker.OPEN
    await back.report()
    await other.look()
    assert back.breaker() is other.breaker() is Breaker.OPEN
    assert other.memory.of(FIRST, MODEL).failures == FAILURES_TO_OPEN


async def test_what_is_heard_meanwhile_does_not_undo_what_is_on_its_way(make_instance: Make) -> None:
    one, other = make_instance(), make_instance()
    await other.answer()
    for _ in range(FAILURES_TO_OPEN):
        one.memory.record_failure(FIRST, MODEL)
    rider = one.shared.report()
    await one.look()
    assert one.breaker() is Breaker.OPEN
    assert rider is not None
    rider.miss()
    await one.report()
    assert one.breaker() is Breaker.OPEN


async def test_what_redis_has_lost_an_instance_goes_on_with(redis: Redis, make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    await redis.command("FLUSHALL")
    clock.now_ms += FRESH_MS
    assert (await one.turn(), await other.turn()) == (Turn.WAIT, Turn.ASK)
    clock.now_ms += OPEN_MS
    assert (await one.turn(), await one.turn()) == (Turn.PROBE, Turn.WAIT)
    await one.answer()
    assert await one.turn() is Turn.ASK
