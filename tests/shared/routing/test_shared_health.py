import asyncio
import json
from collections.abc import Callable

import aiohttp
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.core.ids import ModelId
from shared.routing.health import FRESH_MS, MAX_WAITING, ProviderHealth
from shared.routing.offer_health import (
    FAILURES_TO_OPEN,
    KEPT_MS,
    OPEN_MS,
    PROBE_MS,
    Breaker,
    Event,
    OfferHealth,
    Reading,
)
from shared.routing.store import SharedHealth
from tests.shared.limits.support import Clock
from tests.shared.routing.support import BOTH, FIRST, MODEL, SECOND, Instance

Make = Callable[[], Instance]
READINGS = st.lists(
    st.tuples(st.sampled_from(list(Event)), st.integers(1, 90_000), st.integers(0, 40_000)), min_size=1, max_size=40
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


async def test_after_its_time_one_request_of_all_instances_may_probe(make_instance: Make, clock: Clock) -> None:
    instances = [make_instance() for _ in range(4)]
    await instances[0].fail(FAILURES_TO_OPEN)
    for instance in instances:
        assert await instance.probes() == set()
    clock.now_ms += OPEN_MS
    claims = await asyncio.gather(*(instance.probes() for instance in instances for _ in range(5)))
    assert sorted(map(len, claims)) == [0] * 19 + [1]
    assert {instance.breaker() for instance in instances} == {Breaker.HALF_OPEN}


async def test_a_probe_that_is_answered_closes_the_breaker_for_all(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    await other.look()
    clock.now_ms += OPEN_MS
    assert await other.probes() == {(FIRST, MODEL)}
    other.memory.record_success(FIRST, MODEL, first_byte_ms=120)
    await other.report()
    clock.now_ms += FRESH_MS
    await one.look()
    assert one.breaker() is Breaker.CLOSED
    # Four failures are again no reason.
    await one.fail(FAILURES_TO_OPEN - 1)
    assert one.breaker() is Breaker.CLOSED


async def test_a_breaker_s_changes_are_logged(
    make_instance: Make, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    one = make_instance()
    await one.fail(2 * FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS
    await one.fail(1)
    for _ in range(2):
        one.memory.record_success(FIRST, MODEL, first_byte_ms=120)
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["event"] for line in lines] == ["breaker_opened", "breaker_opened", "breaker_closed"]
    assert {(line["provider"], line["model_id"]) for line in lines} == {(FIRST, MODEL)}


async def test_a_probe_that_fails_opens_it_for_as_long_again(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS
    assert await other.probes() == {(FIRST, MODEL)}
    await other.fail(1)
    assert other.breaker() is Breaker.OPEN
    clock.now_ms += OPEN_MS - 1
    assert await one.probes() == set()
    clock.now_ms += 1
    assert await one.probes() == {(FIRST, MODEL)}


async def test_failures_that_were_under_way_do_not_keep_it_open_for_longer(make_instance: Make, clock: Clock) -> None:
    one = make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS - 1
    await one.fail(3)
    clock.now_ms += 1
    assert one.breaker() is Breaker.HALF_OPEN


async def test_a_probe_that_nobody_makes_or_survives_is_made_by_another(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS
    given_up = await one.look()
    given_up.give_back()
    assert given_up.take_probes() == set()
    await one.report()
    assert await other.probes() == set()
    clock.now_ms += FRESH_MS
    assert await other.probes() == {(FIRST, MODEL)}
    clock.now_ms += PROBE_MS - 1
    assert await one.probes() == set()
    clock.now_ms += 1
    assert await one.probes() == {(FIRST, MODEL)}


async def test_a_breaker_that_nobody_probes_is_closed_until_the_next_failure(make_instance: Make, clock: Clock) -> None:
    one, other = make_instance(), make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS + KEPT_MS - 1
    await other.look(providers=(SECOND,))
    assert other.breaker() is Breaker.HALF_OPEN
    clock.now_ms += 1
    assert await one.probes() == await other.probes() == set()
    assert one.breaker() is other.breaker() is Breaker.CLOSED
    await other.fail(1)
    assert other.breaker() is Breaker.OPEN


async def test_a_request_probes_nobody_whom_it_may_not_use(make_instance: Make, clock: Clock) -> None:
    one = make_instance()
    await one.fail(FAILURES_TO_OPEN)
    clock.now_ms += OPEN_MS
    assert (await one.look(providers=(SECOND,))).take_probes() == set()
    assert await one.probes() == {(FIRST, MODEL)}


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
    one.memory.record_success(FIRST, MODEL, first_byte_ms=100)
    await one.report()
    other.memory.record_success(FIRST, MODEL, first_byte_ms=600)
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


async def test_what_waits_to_be_told_is_not_overwritten_by_what_the_others_know(make_instance: Make) -> None:
    one, other = make_instance(), make_instance()
    other.memory.record_success(FIRST, MODEL, first_byte_ms=100)
    await other.report()
    for _ in range(FAILURES_TO_OPEN):
        one.memory.record_failure(FIRST, MODEL)
    await one.look()
    assert one.breaker() is Breaker.OPEN


async def test_what_redis_has_lost_is_known_to_nobody(redis: Redis, make_instance: Make, clock: Clock) -> None:
    one = make_instance()
    await one.fail(FAILURES_TO_OPEN)
    await redis.command("FLUSHALL")
    clock.now_ms += FRESH_MS
    assert await one.probes() == set()
    assert one.breaker() is Breaker.CLOSED


async def test_without_redis_one_request_of_an_instance_probes(make_instance: Make, clock: Clock) -> None:
    one = make_instance()
    for _ in range(FAILURES_TO_OPEN):
        one.memory.record_failure(FIRST, MODEL)
    unheard = [one.shared.look((MODEL,), BOTH) for _ in range(3)]
    assert [look.take_probes() for look in unheard] == [set()] * 3
    clock.now_ms += OPEN_MS
    unheard = [one.shared.look((MODEL,), BOTH) for _ in range(3)]
    assert [look.take_probes() for look in unheard] == [{(FIRST, MODEL)}, set(), set()]
    one.memory.record_success(FIRST, MODEL, first_byte_ms=1)
    assert one.breaker() is Breaker.CLOSED


def test_what_waits_and_what_is_remembered_is_bounded(clock: Clock) -> None:
    memory = ProviderHealth(clock)
    for number in range(10_000):
        memory.record_failure(FIRST, ModelId(f"maker/{number}"))
    waiting = memory.take_waiting()
    assert len(waiting) == MAX_WAITING
    assert waiting[-1] == Reading(FIRST, ModelId("maker/9999"), Event.FAILED)
    assert memory.take_waiting() == ()
    assert memory.of(FIRST, ModelId("maker/0")) == OfferHealth()
    assert memory.of(FIRST, ModelId("maker/9999")).failures == 1


@pytest.mark.parametrize(
    "answer", [None, "OK", [], [[["openrouter", "1 2 3", 0]]], [[["openrouter"]]], [[["openrouter", "x " * 8, 1]]]]
)
async def test_an_answer_in_another_form_changes_nothing(
    make_instance: Make, answer: object, capsys: pytest.CaptureFixture[str]
) -> None:
    look = make_instance().shared.look((MODEL,), BOTH)
    assert look.rider is not None
    look.rider.take(answer)
    assert look.take_probes() == set()
    assert json.loads(capsys.readouterr().out)["event"] == "provider_health_unreadable"


async def test_news_are_told_at_once_and_the_rest_waits(make_instance: Make) -> None:
    one, other = make_instance(), make_instance()
    one.memory.record_success(FIRST, MODEL, first_byte_ms=100)
    await one.shared.send_news()
    await other.look()
    assert other.memory.of(FIRST, MODEL) == OfferHealth()
    one.memory.record_failure(FIRST, MODEL)
    await one.shared.send_news()
    third = make_instance()
    await third.look()
    assert third.memory.of(FIRST, MODEL).failures == 1
    assert one.shared.report() is None


async def test_news_that_nobody_takes_are_logged(unused_tcp_port: int, clock: Clock, stack: LocalStack) -> None:
    memory = ProviderHealth(clock)
    memory.record_failure(FIRST, MODEL)
    async with aiohttp.ClientSession() as session:
        away = Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token=stack.credentials.redis_token)
        await SharedHealth(away, memory).send_news()
    assert memory.of(FIRST, MODEL).failures == 1


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
            reading = Reading(FIRST, MODEL, event, float(number))
            alone = alone.after(reading, clock.now_ms)
            memory._note(reading, is_news=False)
            await instance.report()
    told = memory.of(FIRST, MODEL)
    assert told.latency_ms == pytest.approx(alone.latency_ms, abs=0.5)
    assert told.tokens_per_second == pytest.approx(alone.tokens_per_second, abs=0.5)
    exact = [(one.failures, one.open_until_ms, one.probe_until_ms, one.limited_until_ms) for one in (told, alone)]
    assert exact[0] == exact[1]
    assert (told.latency_at_ms, told.tokens_per_second_at_ms) == (alone.latency_at_ms, alone.tokens_per_second_at_ms)
