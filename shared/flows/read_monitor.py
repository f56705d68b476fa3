"""What goes on, from both stores: what the books say of a window, and what Redis says of itself and of providers."""

import asyncio
import time
from collections.abc import Mapping, Sequence

import msgspec

from shared.clients.redis import Redis, RedisUnavailable, Script
from shared.core.admin import Admin
from shared.core.clock import elapsed_ms
from shared.core.ids import ProviderSlug
from shared.core.verdicts import Refused
from shared.flows.ask import Desk
from shared.flows.ask_as_admin import ask_as_admin
from shared.ledger.late import LateCounts, LateSettlements
from shared.operations.state import OperatedState
from shared.operations.state_types import MonitorTold
from shared.routing.records import HealthRecords, ProviderRecord


class MonitorMeans(msgspec.Struct, frozen=True):
    """What is looked at."""

    desk: Desk
    state: OperatedState
    late: LateSettlements
    health: HealthRecords


class HealthScripts:
    """Runs what health is read by through the client that the function has already."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def run_script(self, text: str, arguments: Sequence[str | int]) -> object:
        """Run a script that names its keys by itself.

        raises  RedisUnavailable within the client's deadline
        """
        return await self._redis.run_script(Script.from_text(text), keys=(), arguments=arguments)


class Window(msgspec.Struct, frozen=True):
    """From one moment until before another, as ISO text; None: the last hour."""

    start: str | None
    end: str | None


class LimiterHealth(msgspec.Struct, frozen=True, kw_only=True):
    """The Redis that limits are counted in: whether it answers, how soon, and the settlements that wait there."""

    is_reachable: bool
    latency_ms: int | None
    late_settlements: int | None
    look_ups: int | None


class Monitored(msgspec.Struct, frozen=True):
    """What both stores tell; providers: how they did in the last hour, as all instances share it."""

    books: MonitorTold
    limiter: LimiterHealth
    providers: Mapping[ProviderSlug, ProviderRecord]


async def read_monitor(means: MonitorMeans, admin: Admin, window: Window, answer_headers: dict[str, str]) -> Monitored:
    """Ask both stores at once; without Redis the rest is told all the same.

    raises  AdminRequired; as ask_as_admin
    """

    async def ask() -> MonitorTold | Refused:
        return await means.state.read_monitor(admin, window.start, window.end)

    books, limiter, health = await asyncio.gather(
        ask_as_admin(means.desk, admin, ask, answer_headers), _look_at_limiter(means.late), means.health.read()
    )
    return Monitored(books, limiter, health.providers)


async def _look_at_limiter(late: LateSettlements) -> LimiterHealth:
    started_s = time.monotonic()
    try:
        counts: LateCounts = await late.count()
    except RedisUnavailable:
        return LimiterHealth(is_reachable=False, latency_ms=None, late_settlements=None, look_ups=None)
    return LimiterHealth(
        is_reachable=True,
        latency_ms=elapsed_ms(started_s),
        late_settlements=counts.settlements,
        look_ups=counts.look_ups,
    )
