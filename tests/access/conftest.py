from collections.abc import AsyncIterator, Iterator

import aiohttp
import pytest
import pytest_asyncio
import redis

from infra.local.ports import LOOPBACK
from infra.local.stack import LocalStack
from tests.access.intruders import Intruder, make_intruders
from tests.access.people import CRON_SECRET, Town
from tests.access.requests import open_session
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.privy import PrivyTokens
from tests.harness.tenants import Models, Tenants


@pytest.fixture(scope="session")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    """One gateway for all of these tests, on which jobs can be started."""
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=CRON_SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture(scope="session")
def town(gateway: RunningGateway, tenant: Tenants, make_model: Models, privy: PrivyTokens) -> Town:
    return Town(gateway, tenant, make_model, privy)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def intruders(town: Town) -> list[Intruder]:
    return await make_intruders(town)


@pytest.fixture
async def session(gateway: RunningGateway) -> AsyncIterator[aiohttp.ClientSession]:
    async with open_session(gateway) as opened:
        yield opened


@pytest.fixture(autouse=True)
def roomy_address(stack: LocalStack) -> None:
    """Forget the keys that this address has tried: so many intruders in a minute are more than one may be."""
    with redis.Redis(LOOPBACK, stack.ports.redis, password=stack.credentials.redis_password) as client:
        for name in client.scan_iter("gw:address:*"):
            client.delete(name)
