import asyncio
from datetime import UTC, datetime

from infra.local.stack import LocalStack
from tests.functions.catalog.client import get
from tests.harness.gateways import RunningGateway


async def test_a_healthy_gateway_says_so_and_nothing_about_anyone(gateway: RunningGateway) -> None:
    answer = await get(gateway, "/health")
    assert answer.status == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert set(answer.json) == {"status", "version", "checks"}
    assert answer.json["checks"]["database"] == answer.json["checks"]["redis"] == "ok"
    assert answer.json["status"] in {"ok", "degraded"}


async def test_pings_are_counted_one_by_one_whoever_asks_at_once(gateway: RunningGateway) -> None:
    before = (await get(gateway, "/ping")).json["count"]
    answers = await asyncio.gather(*(get(gateway, "/ping") for _ in range(40)))
    assert {answer.json["count"] for answer in answers} == set(range(before + 1, before + 41))
    assert {answer.json["message"] for answer in answers} == {"pong"}
    said_at = datetime.fromisoformat(answers[0].json["timestamp"])
    assert abs((datetime.now(UTC) - said_at).total_seconds()) < 60


async def test_asking_for_health_is_no_ping(gateway: RunningGateway) -> None:
    before = (await get(gateway, "/ping")).json["count"]
    for path in ("/health", "/health", "/models"):
        await get(gateway, path)
    assert (await get(gateway, "/ping")).json["count"] == before + 1


async def test_without_redis_it_is_degraded_and_still_serves(stack: LocalStack, gateway: RunningGateway) -> None:
    with stack.without("redis-rest"):
        answer = await get(gateway, "/health")
        models = await get(gateway, "/v1/models")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    assert answer.json["checks"]["redis"] == "down"
    assert models.status == 200


async def test_without_the_database_it_is_down_and_says_when_to_retry(
    stack: LocalStack, gateway: RunningGateway
) -> None:
    with stack.without("postgrest"):
        health = await get(gateway, "/health")
        others = [await get(gateway, path) for path in ("/ping", "/models", "/v1/models/x/y", "/models/providers")]
    assert (health.status, health.json["status"]) == (503, "down")
    assert (health.json["checks"]["database"], health.json["checks"]["redis"]) == ("down", "ok")
    for answer in others:
        assert (answer.status, answer.error["code"]) == (503, "storage_unavailable")
        assert answer.headers["Retry-After"] == "2"
    assert (await get(gateway, "/ping")).status == 200
