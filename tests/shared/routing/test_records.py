from collections.abc import AsyncIterator, Callable

import pytest

from infra.local.stack import LocalStack
from shared.clients.upstash import UpstashRedis
from shared.core.ids import ModelId
from shared.routing.offer_health import FAILURES_TO_OPEN, OPEN_MS, Breaker
from shared.routing.records import FRESH_MS, HealthRecords, HealthReport, OpenBreaker
from tests.shared.limits.support import Clock
from tests.shared.routing.support import BOTH, FIRST, MODEL, SECOND, Instance

Make = Callable[[], Instance]
HOUR_MS = 3_600_000


@pytest.fixture
async def records(stack: LocalStack, clock: Clock) -> AsyncIterator[HealthRecords]:
    redis = UpstashRedis(url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
    yield HealthRecords(redis, BOTH, clock)
    await redis.close()


async def test_a_provider_s_hour_is_counted_over_all_models_and_instances(
    make_instance: Make, records: HealthRecords, clock: Clock
) -> None:
    instances = [make_instance() for _ in range(3)]
    for number, instance in enumerate(instances):
        for first_byte_ms in (100, 200, 400):
            instance.memory.record_beginning(FIRST, ModelId(f"maker/{number}"), first_byte_ms=first_byte_ms)
            instance.memory.record_answer(FIRST, ModelId(f"maker/{number}"), took_ms=0)
        instance.memory.record_throughput(FIRST, ModelId(f"maker/{number}"), tokens=80, seconds=1)
        instance.memory.record_failure(FIRST, ModelId(f"maker/{number}"))
        await instance.report()
        clock.now_ms += HOUR_MS // 4
    record = (await records.read()).providers[FIRST]
    assert (record.requests, record.success_rate, record.breakers) == (12, 0.75, ())
    assert record.median_latency_ms == pytest.approx(200, rel=0.1)
    assert record.median_tokens_per_second == pytest.approx(80, rel=0.1)
    assert SECOND not in (await records.read()).providers
    clock.now_ms += HOUR_MS + HOUR_MS // 10
    assert (await records.read()).providers == {}


async def test_open_breakers_are_shown_with_when_they_are_tried_again(
    make_instance: Make, records: HealthRecords, clock: Clock
) -> None:
    one = make_instance()
    await one.fail(FAILURES_TO_OPEN)
    await one.answer(SECOND)
    report = await records.read(MODEL)
    assert report.providers[FIRST].breakers == (OpenBreaker(MODEL, Breaker.OPEN, OPEN_MS),)
    assert report.providers[FIRST].success_rate == 0
    assert report.providers[SECOND].breakers == ()
    assert {slug: health.breaker(clock.now_ms) for slug, health in report.offers.items()} == {
        FIRST: Breaker.OPEN,
        SECOND: Breaker.CLOSED,
    }
    clock.now_ms += OPEN_MS
    assert (await records.read()).providers[FIRST].breakers == (OpenBreaker(MODEL, Breaker.HALF_OPEN, 0),)
    await one.answer()
    clock.now_ms += FRESH_MS
    assert (await records.read()).providers[FIRST].breakers == ()


async def test_a_crowd_is_shown_what_was_read_a_moment_ago(
    make_instance: Make, records: HealthRecords, clock: Clock
) -> None:
    one = make_instance()
    await one.fail(1)
    first = await records.read()
    await one.fail(1)
    clock.now_ms += FRESH_MS - 1
    assert await records.read() is first
    clock.now_ms += 1
    assert (await records.read()).providers[FIRST].requests == 2


async def test_without_redis_nothing_is_known_of_anybody(unused_tcp_port: int, clock: Clock) -> None:
    redis = UpstashRedis(url=f"http://127.0.0.1:{unused_tcp_port}", token="t")
    try:
        assert await HealthRecords(redis, BOTH, clock).read(MODEL) == HealthReport(clock.now_ms)
    finally:
        await redis.close()
