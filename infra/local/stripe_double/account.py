"""One account of the double: its world, its API, its deliveries. Two accounts share nothing."""

from dataclasses import dataclass

import aiohttp

from infra.local.stripe_double.api import Api
from infra.local.stripe_double.clock import Clock
from infra.local.stripe_double.deliveries import ANSWER_WITHIN_S, Deliveries, Endpoint
from infra.local.stripe_double.world import World


@dataclass(slots=True)
class Account:
    """What the routes work on; reset() replaces all of it."""

    world: World
    api: Api
    deliveries: Deliveries

    async def reset(self, *, now: int | None, seed: int | None, keeps_endpoints: bool) -> None:
        """Begin anew, with what was under way given up."""
        await self.deliveries.stop()
        old = self.deliveries
        self.world = World(Clock(now), base_url=self.world.base_url, seed=seed)
        self.api = Api(self.world)
        endpoints = old.endpoints if keeps_endpoints else []
        self.deliveries = Deliveries(self.world, old.session, endpoints=endpoints, retry_after_s=old.retry_after_s)


def open_account(world: World, endpoints: list[Endpoint]) -> Account:
    """Return an account that remembers this; the deliveries' session is closed with the server."""
    session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=ANSWER_WITHIN_S), trust_env=False)
    return Account(world, Api(world), Deliveries(world, session, endpoints=endpoints))
