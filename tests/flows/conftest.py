from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import aiohttp
import pytest

from infra.local.stack import LocalStack
from shared.clients.redis import Redis
from tests.flows.blame import ChoosyProvider, serve
from tests.flows.calls import client
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.wire import Wire

# Looking into Redis from a test must not fail because the machine is busy.
PATIENCE_S = 10.0
CRON_SECRET = "the cron secret of these tests"


async def sweep_at(url: str) -> dict[str, int]:
    """Run the settlement sweep of a gateway that was given CRON_SECRET once, and return what it did."""
    headers = {"Authorization": f"Bearer {CRON_SECRET}"}
    async with (
        client() as session,
        session.post(f"{url}/internal/jobs/settlement_sweep", headers=headers) as response,
    ):
        assert response.status == 200, await response.text()
        did: dict[str, int] = await response.json()
    return did


@dataclass(frozen=True, slots=True)
class WiredGateway:
    """A gateway that reaches each of its stores through a wire."""

    gateway: RunningGateway
    supabase: Wire
    redis: Wire

    @property
    def url(self) -> str:
        return self.gateway.url

    def forget(self) -> None:
        self.supabase.forget()
        self.redis.forget()

    async def sweep(self) -> dict[str, int]:
        """Run the settlement sweep once, and return what it did."""
        return await sweep_at(self.url)


@pytest.fixture(scope="module")
def wired(stack: LocalStack) -> Iterator[WiredGateway]:
    supabase, redis, gateways = Wire(stack.supabase_url).open(), Wire(stack.redis_rest_url).open(), Gateways(stack)
    try:
        gateway = gateways(SUPABASE_URL=supabase.url, UPSTASH_REDIS_REST_URL=redis.url, CRON_SECRET=CRON_SECRET)
        yield WiredGateway(gateway, supabase, redis)
    finally:
        gateways.stop_all()
        supabase.close()
        redis.close()


@pytest.fixture(scope="module")
def two_gateways(stack: LocalStack) -> Iterator[tuple[str, str]]:
    gateways = Gateways(stack)
    try:
        yield gateways().url, gateways().url
    finally:
        gateways.stop_all()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with client() as opened:
        yield opened


@pytest.fixture
def redis(stack: LocalStack, session: aiohttp.ClientSession) -> Redis:
    return Redis(session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=PATIENCE_S)


@pytest.fixture
async def choosy_provider() -> AsyncIterator[ChoosyProvider]:
    async with serve(ChoosyProvider()) as provider:
        yield provider
