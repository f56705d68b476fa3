"""The list of late settlements in a real Redis: what is put is taken when it is due, by one at a time."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from msgspec.structs import replace

from infra.local.stack import LocalStack
from shared.clients.redis import Redis, RedisUnavailable
from shared.core.ids import ModelId, PriceId, ProviderSlug, new_generation_id
from shared.core.money import Nanos
from shared.ledger.late import (
    LEASE_MS,
    LIST_NAME,
    LIST_NAMES,
    LOOK_UPS_NAME,
    LateSettlement,
    LateSettlements,
    LookUp,
    Taken,
)
from shared.ledger.types import Attempt, Outcome, Quantities, RequestFacts, Usage, UsageSource
from tests.shared.limits.support import Clock

NOW_MS = 1_900_000_000_000
USAGE = Usage(
    price_id=PriceId(7),
    quantities=Quantities(input_tokens=10, cached_input_tokens=2, output_tokens=5, images=1),
    source=UsageSource.COUNTED,
    outcome=Outcome.ABANDONED,
    is_stream=True,
    attempts=(
        Attempt(
            provider=ProviderSlug("openrouter"),
            model_id=ModelId("m"),
            status=200,
            is_success=True,
            is_request_at_fault=False,
            reason="answered",
            first_byte_ms=3,
            started_ms=1,
        ),
    ),
    duration_ms=7,
    first_byte_ms=3,
    reasoning_tokens=1,
    reported_cost_nanos=Nanos(9),
    waived_reason="crashed",
    request=RequestFacts(models=(ModelId("m"),), choices=1, max_output_tokens=None, image_count=1, prompt_bytes=40),
    upstream_id="gen-1",
    answer="sealed",
)


@pytest.fixture
def clock() -> Clock:
    return Clock(NOW_MS)


@pytest.fixture
async def redis(stack: LocalStack) -> AsyncIterator[Redis]:
    async with aiohttp.ClientSession() as session:
        client = Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
        await client.command("DEL", *LIST_NAMES)
        yield client
        await client.command("DEL", *LIST_NAMES)


@pytest.fixture
def late(redis: Redis, clock: Clock) -> LateSettlements:
    return LateSettlements(redis, clock)


def record(**changes: Any) -> LateSettlement:
    fields = {"generation_id": new_generation_id(), "usage": USAGE, "look_up": None, "since_ms": NOW_MS, **changes}
    return LateSettlement(**fields)


async def listed(redis: Redis) -> int:
    counts = [await redis.command("ZCARD", name) for name in LIST_NAMES]
    return sum(int(str(count)) for count in counts)


def read(taken: list[Taken]) -> list[LateSettlement | None]:
    return [each.record for each in taken]


async def test_a_record_comes_back_as_it_was_put_once_it_is_due(late: LateSettlements, clock: Clock) -> None:
    written = record(look_up=LookUp(ProviderSlug("openrouter"), "gen-1", 128_000, 4_096), tries=3)
    await late.put(written, due_ms=NOW_MS + 1)
    assert await late.take(10, are_look_ups=True) == []
    clock.now_ms += 1
    assert read(await late.take(10, are_look_ups=True)) == [written]


async def test_what_is_due_first_is_taken_first_and_no_more_than_asked_for(late: LateSettlements) -> None:
    records = [record() for _ in range(3)]
    for position, each in enumerate(records):
        await late.put(each, due_ms=NOW_MS - position)
    assert read(await late.take(2)) == [records[2], records[1]]
    assert read(await late.take(2)) == [records[0]]


async def test_a_taken_record_is_nobody_elses_until_its_lease_ends(
    late: LateSettlements, clock: Clock, redis: Redis
) -> None:
    await late.put(record(), due_ms=NOW_MS)
    (first,) = await late.take(10)
    clock.now_ms += LEASE_MS - 1
    assert await late.take(10) == []
    clock.now_ms += 1
    assert await late.take(10) == [first]
    await late.remove(first)
    clock.now_ms += 10 * LEASE_MS
    assert await late.take(10) == []
    assert await listed(redis) == 0


async def test_takers_at_once_share_the_records_and_none_gets_one_twice(late: LateSettlements, redis: Redis) -> None:
    records = [record() for _ in range(40)]
    await asyncio.gather(*(late.put(each, due_ms=NOW_MS) for each in records))
    taken = [each for some in await asyncio.gather(*(late.take(7) for _ in range(10))) for each in some]
    assert len(taken) == len({each.text for each in taken}) == 40
    assert await listed(redis) == 40


async def test_who_put_a_record_can_remove_it_and_a_second_time_is_no_fault(
    late: LateSettlements, redis: Redis
) -> None:
    note, other = record(), record()
    for each in (note, other):
        await late.put(each, due_ms=NOW_MS + 900_000)
    for _ in range(2):
        await late.remove(note)
    assert await listed(redis) == 1


async def test_putting_again_moves_a_record_and_does_not_double_it(
    late: LateSettlements, clock: Clock, redis: Redis
) -> None:
    note = record()
    await late.put(note, due_ms=NOW_MS)
    await late.put(note, due_ms=NOW_MS + 5)
    assert (await listed(redis), await late.take(1)) == (1, [])
    clock.now_ms += 5
    assert len(await late.take(1)) == 1


async def test_a_replaced_record_takes_the_place_of_the_old_one(
    late: LateSettlements, clock: Clock, redis: Redis
) -> None:
    old = record()
    new = LateSettlement(old.generation_id, replace(old.usage, duration_ms=8), None, NOW_MS, tries=1)
    await late.put(old, due_ms=NOW_MS)
    (taken,) = await late.take(1)
    await late.replace(taken, new, due_ms=NOW_MS + 10)
    assert await listed(redis) == 1
    clock.now_ms += 10
    assert read(await late.take(1)) == [new]


async def test_a_record_that_was_settled_meanwhile_is_not_put_back(
    late: LateSettlements, clock: Clock, redis: Redis
) -> None:
    """A sweep is slower than its lease, and another has settled the record in between."""
    await late.put(record(), due_ms=NOW_MS)
    (slow,) = await late.take(1)
    clock.now_ms += LEASE_MS
    (quick,) = await late.take(1)
    await late.remove(quick)
    assert slow.record is not None
    await late.replace(slow, slow.record, due_ms=NOW_MS)
    assert await listed(redis) == 0


@pytest.mark.parametrize("text", ["", "{", "null", "[]", '{"generation_id": "x"}', "{\ud83d", "[" * 5000])
async def test_what_is_no_record_is_taken_as_text_and_can_be_removed(
    late: LateSettlements, redis: Redis, text: str
) -> None:
    text = text.encode(errors="replace").decode()
    await redis.command("ZADD", LIST_NAME, NOW_MS, text)
    (taken,) = await late.take(1)
    assert taken == Taken(LIST_NAME, text, None)
    await late.remove(taken)
    assert await listed(redis) == 0


async def test_a_record_of_a_newer_release_is_read_and_removed_as_it_stands(
    late: LateSettlements, redis: Redis
) -> None:
    written = record()
    await late.put(written, due_ms=NOW_MS)
    (taken,) = await late.take(1)
    await late.remove(taken)
    await redis.command("ZADD", LIST_NAME, NOW_MS, json.dumps({**json.loads(taken.text), "colour": "red"}))
    (newer,) = await late.take(1)
    assert newer.record == written
    await late.remove(newer)
    assert await listed(redis) == 0


async def test_large_records_are_taken_by_their_size_and_never_not_at_all(
    late: LateSettlements, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.ledger.late.MOST_TAKEN_BYTES", 250_000)
    for _ in range(3):
        await late.put(record(usage=replace(USAGE, answer="x" * 100_000)), due_ms=NOW_MS)
    await late.put(record(usage=replace(USAGE, answer="x" * 300_000)), due_ms=NOW_MS + 1)
    clock.now_ms += 1
    assert [len(await late.take(10)) for _ in range(4)] == [2, 1, 1, 0]


async def test_a_list_that_is_full_says_so(
    late: LateSettlements, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shared.ledger.late.MOST_RECORDS", 2)
    for _ in range(2):
        await late.put(record(), due_ms=NOW_MS)
    with pytest.raises(RedisUnavailable, match="full"):
        await late.put(record(), due_ms=NOW_MS)
    (taken,) = await late.take(1)
    assert taken.record is not None
    await late.replace(taken, record(), due_ms=NOW_MS)
    assert await listed(redis) == 2


async def test_without_redis_every_call_says_so(unused_tcp_port: int, clock: Clock) -> None:
    async with aiohttp.ClientSession() as session:
        late = LateSettlements(Redis(session, url=f"http://127.0.0.1:{unused_tcp_port}", token="t"), clock)
        for call in (late.put(record(), due_ms=NOW_MS), late.remove(record()), late.take(1)):
            with pytest.raises(RedisUnavailable):
                await call


async def test_what_asks_a_provider_first_stands_apart_from_what_does_not(late: LateSettlements, redis: Redis) -> None:
    plain, look_up = record(), record(look_up=LookUp(provider=ProviderSlug("openrouter"), upstream_id="gen-1"))
    for each in (plain, look_up):
        await late.put(each, due_ms=NOW_MS)
    (taken_plain,), (taken_look_up,) = await late.take(9), await late.take(9, are_look_ups=True)
    assert (taken_plain.record, taken_look_up.record) == (plain, look_up)
    assert await redis.command("ZCARD", LOOK_UPS_NAME) == 1
    await late.replace(taken_look_up, look_up, due_ms=NOW_MS + 1)
    assert await redis.command("ZCARD", LOOK_UPS_NAME) == 1
    await late.remove(plain)
    await late.remove(look_up)
    assert await listed(redis) == 0
