"""An admitted request keeps its lease for as long as it takes."""

import asyncio

import aiohttp
import pytest
from fastapi import FastAPI

from functions.chat.app import lifespan
from infra.local.environment import gateway_environment
from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from shared.core.ids import ModelId, ProviderSlug
from shared.flows.meter import Meter
from shared.flows.open_meter import MeteredRequest, open_meter
from shared.ledger.types import Bounds
from tests.harness.callers import caller_of
from tests.harness.tenants import Models, PlanLimits, Tenants

BOUNDS = Bounds(
    input_tokens=10, images=0, choices=1, output_tokens=10, reasoning_output_tokens=10, is_cheapest_only=False
)


async def stay_silent() -> None:
    pass


async def lease_ends_ms(redis: Redis, account_id: int) -> list[int]:
    answer = await redis.command("ZRANGE", f"gw:leases:{account_id}", 0, -1, "WITHSCORES")
    assert isinstance(answer, list)
    return [int(float(score)) for score in answer[1::2]]


async def test_a_request_that_waits_for_others_keeps_its_lease_and_gives_it_back(
    stack: LocalStack, tenant: Tenants, make_model: Models, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in gateway_environment(stack, {}).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("shared.flows.meter.NOTE_AFTER_S", 0.05)
    monkeypatch.setattr("shared.flows.meter.RENEW_EVERY_S", 0.05)
    customer, model = tenant(limits=PlanLimits(concurrency=3)), make_model()
    caller = caller_of(customer.api_key, stack.credentials.gateway_secret, address="127.0.0.1")
    request = MeteredRequest(
        models=(ModelId(model.id),),
        providers=(ProviderSlug("openrouter"),),
        bounds=BOUNDS,
        claim=None,
        time_limit_s=10.0,
    )
    app = FastAPI()
    async with aiohttp.ClientSession() as session, lifespan(app):
        redis = Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=10)
        meter = await open_meter(app.state.resources.inference, caller, request, {}, stay_silent)
        assert isinstance(meter, Meter)
        (before_ms,) = await lease_ends_ms(redis, customer.account_id)
        async with meter.kept_alive(lambda: None):
            # Nothing of the request runs meanwhile: its client takes no byte, or its provider sends none.
            await asyncio.sleep(0.5)
        (after_ms,) = await lease_ends_ms(redis, customer.account_id)
        assert after_ms >= before_ms + 300
        await asyncio.sleep(0.3)
        assert await lease_ends_ms(redis, customer.account_id) == [after_ms]
        await meter.void()
        assert await lease_ends_ms(redis, customer.account_id) == []
    assert customer.books.holds("held") == []
