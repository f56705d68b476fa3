"""Where a round takes place: tenants, models at every provider, and the sweep that comes by."""

import asyncio
import contextlib
import itertools
import json
import random
import secrets
import time
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from infra.local.stack import LocalStack
from shared.clients.redis import Redis, RedisUnavailable
from shared.core.money import NANOS_PER_DOLLAR
from shared.ledger.late import LIST_NAMES
from tests.chaos.asked import Asked
from tests.chaos.bill import Lease, read_books
from tests.chaos.clients import Question
from tests.chaos.slots import Slot
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

PROVIDERS = ("openrouter", "portkey", "featherless", "chutes")
# What the simulator bills for a model that it does not list, in nano-dollars per million, and our markup on it. Odd on
# purpose: no token of ours costs a whole nano-dollar.
COST_RATES = {"input_tokens": 10**9, "cached_input_tokens": 10**8, "output_tokens": 2 * 10**9}
MARKUP_PPM = 55_555
TENANTS = 6
CREDIT_NANOS = 1_000 * NANOS_PER_DOLLAR
SWEEP_EVERY_S = 1.0
CRON_SECRET = "chaos-cron-secret-0123456789"
SWEEP_PATH = "/internal/jobs/settlement_sweep"
SWEEP_WITHIN_S = 60.0
REDIS_WITHIN_S = 10.0


@dataclass(slots=True)
class World:
    """One round's tenants, models and clients, and everything that was asked in it."""

    stack: LocalStack
    session: aiohttp.ClientSession
    chance: random.Random
    tenants: list[Tenant]
    models: dict[str, TestModel]
    sweeper: Slot
    redis: Redis
    first_seq: int
    asked: list[Asked] = field(default_factory=list)
    crashes: int = 0
    failed_sweeps: int = 0
    sweeps: asyncio.Future[None] | None = None
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def account_ids(self) -> list[int]:
        """The accounts of its tenants."""
        return [tenant.account_id for tenant in self.tenants]

    @property
    def simulator(self) -> Simulator:
        """The provider and its bill."""
        return Simulator(self.stack.ports.simulator)

    @property
    def sweep_error(self) -> str:
        """What ended the sweeps before their time, "" while they go on."""
        if self.sweeps is None or not self.sweeps.done() or self.sweeps.cancelled():
            return ""
        return repr(self.sweeps.exception())

    def question(
        self,
        script: Mapping[str, object],
        *,
        is_stream: bool = True,
        pays_once: bool = False,
        provider: str | None = None,
        **fields: object,
    ) -> Question:
        """Make up something to ask, known by a key of its own."""
        key = f"chaos-{next(self._numbers)}-{secrets.token_hex(4)}"
        prompt = f"{key}: {'why ' * self.chance.randint(1, 60)}"
        asked = Asked(key, self.chance.choice(self.tenants), prompt, is_stream, pays_once)
        self.asked.append(asked)
        question = Question(asked, self.models[provider or self.chance.choice(PROVIDERS)], script, fields)
        asked.body_bytes = len(json.dumps(question.body()))
        return question

    async def sweep(self) -> None:
        """Have the sweep come by once; a sweep that fails is counted, and the next one does its work."""
        assert self.sweeper.life is not None
        headers = {"Authorization": f"Bearer {CRON_SECRET}"}
        timeout = aiohttp.ClientTimeout(total=SWEEP_WITHIN_S)
        async with self.session.post(self.sweeper.life.url + SWEEP_PATH, headers=headers, timeout=timeout) as response:
            self.failed_sweeps += response.status != 200

    async def late_records(self) -> dict[uuid.UUID, str]:
        """Return the settlements that are still on the list of late ones, each with what it says."""
        records: list[dict[str, Any]] = []
        for name in LIST_NAMES:
            listed = await self.redis.command("ZRANGE", name, 0, -1)
            assert isinstance(listed, list)
            records += [json.loads(text) for text in listed]
        return {
            uuid.UUID(record["generation_id"]): f"{record['usage']['waived_reason']}, {record['look_up']}"
            for record in records
        }

    async def leases(self, tenant: Tenant) -> dict[str, Lease]:
        """Return the leases of an account by their names, which are their requests' ids."""
        listed = await self.redis.command("ZRANGE", f"gw:leases:{tenant.account_id}", 0, -1, "WITHSCORES")
        assert isinstance(listed, list)
        return {
            str(name): Lease(tenant.account_id, int(score) / 1000)
            for name, score in zip(listed[::2], listed[1::2], strict=True)
        }


@contextlib.asynccontextmanager
async def open_world(stack: LocalStack, seed: int) -> AsyncIterator[World]:
    """Make tenants and models, start the gateway that sweeps, and have it sweep as long as the round lasts."""
    make_model = Models(stack.database_url)
    models = {
        provider: make_model(
            providers=(provider,),
            markup_ppm=MARKUP_PPM,
            other_rates={"cached_input_tokens": COST_RATES["cached_input_tokens"]},
        )
        for provider in PROVIDERS
    }
    make_tenant = Tenants(stack.database_url, stack.credentials.gateway_secret)
    sweeper = Slot(stack, {"CRON_SECRET": CRON_SECRET})
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        await sweeper.start()
        world = World(
            stack=stack,
            session=session,
            chance=random.Random(seed),
            tenants=[make_tenant(credit_nanos=CREDIT_NANOS) for _ in range(TENANTS)],
            models=models,
            sweeper=sweeper,
            redis=Redis(
                session, url=stack.redis_rest_url, token=stack.credentials.redis_token, deadline_s=REDIS_WITHIN_S
            ),
            first_seq=Simulator(stack.ports.simulator).last_seq(),
        )
        world.sweeps = asyncio.ensure_future(_sweep_on(world))
        try:
            yield world
        finally:
            world.sweeps.cancel()
            await asyncio.wait({world.sweeps})
            sweeper.stop()


async def _sweep_on(world: World) -> None:
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        await world.sweep()


async def come_to_rest(world: World, *, within_s: float) -> None:
    """Wait until no hold is open and no settlement is late, and no longer than that; the checker says what is left."""
    deadline_s = time.monotonic() + within_s
    while time.monotonic() < deadline_s:
        with contextlib.suppress(RedisUnavailable):
            late = await world.late_records()
            books = await asyncio.to_thread(read_books, world.stack.database_url, world.account_ids)
            if books.is_at_rest(late):
                return
        await asyncio.sleep(SWEEP_EVERY_S / 2)
