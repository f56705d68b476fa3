"""What every round has in common: so many questions at a time until the count or the time is up, then the evidence."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from infra.ledger_check.findings import read_findings
from infra.local.stack import LocalStack
from tests.chaos.bill import read_books, read_served
from tests.chaos.checker import Evidence, Findings, check
from tests.chaos.slots import Slot
from tests.chaos.world import SWEEP_EVERY_S, World, come_to_rest

# A hold is closed by the first sweep after its time; a busy machine's sweep may take this much longer.
SLACK_S = 4.0
# What is looked up late is asked for again every 5 s.
REST_WITHIN_S = 90.0
MOST_FINDINGS = 10_000


@dataclass(frozen=True, slots=True)
class Order:
    """What a round is to do. count is of what its name says; limit_s: after so long it asks nothing more."""

    stack: LocalStack
    count: int
    seed: int
    limit_s: float
    began_s: float = field(default_factory=time.monotonic)

    def is_over(self) -> bool:
        """Whether its time is up."""
        return time.monotonic() > self.began_s + self.limit_s


async def keep_asking(ask: Callable[[], Awaitable[None]], *, workers: int, goes_on: Callable[[], bool]) -> None:
    """Have so many clients ask, one thing after the other, as long as it is to go on."""

    async def work() -> None:
        while goes_on():
            await ask()

    async with asyncio.TaskGroup() as group:
        for _ in range(workers):
            group.create_task(work())


def for_as_many(order: Order) -> Callable[[], bool]:
    """Return what says yes as often as the order counts, and no once its time is up."""
    numbers = iter(range(order.count))
    return lambda: not order.is_over() and next(numbers, None) is not None


@asynccontextmanager
async def closing(close: Callable[[], None]) -> AsyncIterator[None]:
    """Close something at the end, in its own thread."""
    try:
        yield
    finally:
        await asyncio.to_thread(close)


async def look_into(world: World, slots: Sequence[Slot], *, rest_within_s: float = REST_WITHIN_S) -> Findings:
    """Let everything come to rest, read what is there, and check it."""
    await come_to_rest(world, within_s=rest_within_s)
    read_at = time.time()
    leases = [await world.leases(tenant) for tenant in world.tenants]
    evidence = Evidence(
        asked=world.asked,
        served=[read_served(record) for record in world.simulator.requests(after=world.first_seq)],
        books=await asyncio.to_thread(read_books, world.stack.database_url, world.account_ids),
        leases={name: lease for each in leases for name, lease in each.items()},
        late_records=await world.late_records(),
        failed_releases=sum(slot.count_logged("limiter_release_failed") for slot in slots),
        broken_rules=await asyncio.to_thread(_broken_rules, world),
        failed_sweeps=world.failed_sweeps,
        sweep_error=world.sweep_error,
        read_at=read_at,
        closes_within_s=SWEEP_EVERY_S + SLACK_S,
    )
    return check(evidence)


def _broken_rules(world: World) -> list[str]:
    """Return what does not balance in our tenants' books, and which of their records were given up."""
    broken = [f"{rule['rule']}: {rule['subject']}" for tenant in world.tenants for rule in tenant.books.broken_rules()]
    ours = {hold.id for tenant in world.tenants for hold in tenant.books.holds()}
    found = read_findings(world.stack.database_url, limit=MOST_FINDINGS)
    broken += [f"{each.what}: {each.subject}" for each in found if each.is_fault and each.subject in ours]
    return list(dict.fromkeys(broken))
