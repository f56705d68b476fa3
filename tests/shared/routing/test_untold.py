"""What an instance has seen and not told yet: it is kept, told again, and not forgotten for what is heard."""

from collections.abc import AsyncIterator, Callable

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis, Script
from shared.core.ids import ModelId
from shared.routing.health import FRESH_MS, ProviderHealth, Turn
from shared.routing.offer_health import FAILURES_TO_OPEN, OPEN_MS, Breaker, Event, Reading
from shared.routing.store import SharedHealth
from shared.routing.untold import MAX_ON_THEIR_WAY, MAX_WAITING, Untold
from tests.shared.limits.support import Clock
from tests.shared.routing.support import FIRST, MODEL, Instance

Make = Callable[[], Instance]


@pytest.fixture
async def away(unused_tcp_port: int, stack: LocalStack) -> AsyncIterator[Redis]:
    """Redis where nothing answers."""
    async with aiohttp.ClientSession() as session:
        yield Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token=stack.credentials.redis_token)


def reading(number: int) -> Reading:
    return Reading(FIRST, ModelId(f"maker/{number}"), Event.FAILED)


def test_what_waits_is_taken_once_and_the_newest_are_kept() -> None:
    untold = Untold()
    for number in range(10_000):
        untold.add(reading(number), is_news=True)
    taken = untold.take()
    assert (len(taken), taken[-1]) == (MAX_WAITING, reading(9_999))
    assert (untold.take(), untold.has_news) == ((), False)
    assert len(untold.pairs) == MAX_WAITING
    untold.note_told(taken)
    assert untold.pairs == set()


def test_what_is_put_back_comes_before_what_was_noted_meanwhile() -> None:
    untold = Untold()
    for number in range(3):
        untold.add(reading(number), is_news=True)
    taken = untold.take()
    untold.add(reading(3), is_news=False)
    untold.put_back(taken)
    # It waits for a call that is made anyway: Redis, which is away, is not asked anew on its account.
    assert not untold.has_news
    assert untold.take() == tuple(reading(number) for number in range(4))


def test_calls_that_are_lost_sight_of_are_forgotten() -> None:
    untold = Untold()
    for number in range(10 * MAX_ON_THEIR_WAY):
        untold.add(reading(number), is_news=True)
        untold.take()
    assert len(untold.pairs) == MAX_ON_THEIR_WAY


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


async def test_what_rides_along_with_a_call_that_fails_is_told_again(
    make_instance: Make, away: Redis, clock: Clock
) -> None:
    one = make_instance()
    one.memory.record_failure(FIRST, MODEL)
    rider = one.shared.report()
    with pytest.raises(Exception, match="not reachable"):
        await away.run_script(Script.from_text("return 1"), keys=(), arguments=(), rider=rider)
    assert one.shared.report() is not None


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
