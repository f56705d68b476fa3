import json
from collections.abc import Callable

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.core.ids import ModelId
from shared.routing.health import FRESH_MS, ProviderHealth
from shared.routing.offer_health import (
    FAILURES_TO_OPEN,
    MAX_LIMITED_MS,
    OPEN_MS,
    Breaker,
    Event,
    OfferHealth,
    Reading,
)
from shared.routing.store import SharedHealth
from tests.shared.limits.support import Clock
from tests.shared.routing.support import FIRST, MODEL, SECOND, Instance

Make = Callable[[], Instance]
READINGS = st.lists(
    st.tuples(st.sampled_from(list(Event)), st.integers(1, MAX_LIMITED_MS), st.integers(0, 40_000)),
    min_size=1,
    max_size=40,
)


async def test_a_breaker_that_one_instance_opens_is_open_for_another(make_instance: Make) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN - 1)
    await other.look()
    assert other.breaker() is Breaker.CLOSED
    await other.fail(1)
    assert (other.breaker(), other.breaker(SECOND)) == (Breaker.OPEN, Breaker.CLOSED)
    third = make_instance()
    await third.look()
    assert third.breaker() is Breaker.OPEN


async def test_what_is_known_is_not_asked_for_again_for_a_moment(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    await other.look()
    await one.fail(FAILURES_TO_OPEN)
    assert (await other.look()).rider is None
    assert other.breaker() is Breaker.CLOSED
    clock.now_ms += FRESH_MS
    assert (await other.look()).rider is not None
    assert other.breaker() is Breaker.OPEN


async def test_a_breaker_s_changes_are_logged(
    make_instance: Make, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_instance()
    await one.fail(2 * FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS
    await one.fail(1)
    for _ in range(2):
        one.memory.record_answer(FIRST, MODEL, took_ms=0)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["breaker_opened", "breaker_opened", "breaker_closed"]
    assert {(line["provider"], line["model_id"]) for line in lines} == {(FIRST, MODEL)}


async def test_failures_that_were_under_way_do_not_keep_it_open_for_longer(make_instance: Make, clock: Clock) -> None:
    one = make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS - 1
    await one.fail(3)
    clock.now_ms += 1
    assert one.breaker() is Breaker.HALF_OPEN


async def test_a_limit_puts_a_provider_behind_and_shuts_it_out_never(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    for _ in range(3 * FAILURES_TO_OPEN):
        one.memory.record_limit(FIRST, MODEL, retry_after_s=3_600)
    await one.report()
    await other.look()
    assert other.breaker() is Breaker.CLOSED
    assert other.memory.of(FIRST, MODEL).limited_until_ms == clock.now_ms + 60_000


async def test_averages_are_one_for_all_instances(make_instance: Make) -> None:
    one, other = make_instance(), make_instance()
    await one.answer(first_byte_ms=100)
    other.memory.record_beginning(FIRST, MODEL, first_byte_ms=600)
    other.memory.record_throughput(FIRST, MODEL, tokens=500, seconds=10)
    await other.report()
    await one.look()
    now_ms = one.memory.now_ms
    assert one.memory.of(FIRST, MODEL).latency(now_ms) == pytest.approx(200)
    assert one.memory.of(FIRST, MODEL).throughput(now_ms) == pytest.approx(50)


async def test_a_model_that_was_asked_for_by_another_name_is_heard_of_the_next_time(make_instance: Make) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    alias = ModelId("model-1:latest")
    (await other.look(alias)).note_offered([MODEL])
    assert other.breaker() is Breaker.CLOSED
    await other.look(alias)
    assert other.breaker() is Breaker.OPEN


def test_what_is_remembered_is_bounded(clock: Clock) -> None:
    memory = ProviderHealth(clock)
    for number in range(10_000):
        memory.record_failure(FIRST, ModelId(f"maker/{number}"))
    assert memory.of(FIRST, ModelId("maker/0")) == OfferHealth()
    assert memory.of(FIRST, ModelId("maker/9999")).failures == 1


@pytest.mark.parametrize(
    "answer", [None, "OK", [], [[["openrouter", "1 2 3"]]], [[["openrouter"]]], [[["openrouter", "x " * 8]]]]
)
async def test_an_answer_in_another_form_changes_nothing(
    make_instance: Make, answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_instance()
    look = one.shared.look((MODEL,))
    assert look.rider is not None
    look.rider.take(answer)
    assert one.memory.of(FIRST, MODEL) == OfferHealth()
    assert json.loads(capsys.readouterr().out)["event"] == "provider_health_unreadable"


async def test_news_are_told_at_once_and_the_rest_waits(make_instance: Make) -> None:
    one, other = make_instance(), make_instance()
    one.memory.record_beginning(FIRST, MODEL, first_byte_ms=100)
    await one.shared.send_news()
    await other.look()
    assert other.memory.of(FIRST, MODEL) == OfferHealth()
    one.memory.record_failure(FIRST, MODEL)
    await one.shared.send_news()
    third = make_instance()
    await third.look()
    assert third.memory.of(FIRST, MODEL).failures == 1
    assert one.shared.report() is None


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(READINGS)
async def test_redis_and_an_instance_alone_come_to_the_same(
    stack: LocalStack, readings: list[tuple[Event, int, int]]
) -> None:
    clock = Clock(1_900_000_000_000)
    async with aiohttp.ClientSession() as session:
        redis = Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
        await redis.command("DEL", f"gw:health:{MODEL}")
        memory = ProviderHealth(clock)
        instance = Instance(redis, memory, SharedHealth(redis, memory))
        alone = OfferHealth()
        for event, number, pause_ms in readings:
            clock.now_ms += pause_ms
            until_ms = clock.now_ms + number % OPEN_MS
            told_number = float(until_ms if event is Event.OPENED else number)
            reading = Reading(FIRST, MODEL, event, told_number, clock.now_ms - number)
            alone = alone.after(reading, clock.now_ms)
            memory._note(reading, is_news=False)
            await instance.report()
    told = memory.of(FIRST, MODEL)
    assert told.latency_ms == pytest.approx(alone.latency_ms, abs=0.5)
    assert told.tokens_per_second == pytest.approx(alone.tokens_per_second, abs=0.5)
    exact = [(one.failures, one.open_until_ms, one.probe_until_ms, one.limited_until_ms) for one in (told, alone)]
    assert exact[0] == exact[1]
    assert (told.latency_at_ms, told.tokens_per_second_at_ms) == (alone.latency_at_ms, alone.tokens_per_second_at_ms)
    assert told.failed_at_ms == alone.failed_at_ms


async def test_a_clock_that_is_ahead_shuts_a_provider_for_no_longer(redis: Redis) -> None:
    now_ms = 1_900_000_000_000
    ahead = with_clock(redis, Clock(now_ms + 300_000))
    await ahead.fail(FAILURES_TO_OPEN)
    ahead.memory.record_limit(SECOND, MODEL, retry_after_s=60)
    await ahead.report()
    for waited_ms in range(0, OPEN_MS, 10_000):
        right = with_clock(redis, Clock(now_ms + waited_ms))
        await right.look()
        # Bounded once, not anew by each look.
        assert right.memory.opens_in_ms([(FIRST, MODEL)]) == OPEN_MS - waited_ms
        assert right.memory.of(SECOND, MODEL).limited_until_ms == now_ms + MAX_LIMITED_MS


def with_clock(redis: Redis, clock: Clock) -> Instance:
    memory = ProviderHealth(clock)
    return Instance(redis, memory, SharedHealth(redis, memory))
