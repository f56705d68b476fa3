"""The jobs by name; vercel.json and serverless.yml say when each runs."""

import time
from collections.abc import Awaitable, Callable, Mapping
from types import MappingProxyType

from functions.scheduled.resources import ScheduledResources
from shared.core.clock import elapsed_ms
from shared.core.errors import GatewayError
from shared.core.log import log_event
from shared.flows.roll_up_usage import roll_up_usage
from shared.flows.rotate_keys import rotate_due_keys
from shared.flows.sweep_settlements import sweep_settlements

# What a job did, in numbers whose names say of what.
Counts = Mapping[str, int]
Job = Callable[[ScheduledResources], Awaitable[Counts]]


class UnknownJob(GatewayError):
    """There is no job of this name."""

    status = 404
    code = "unknown_job"


async def run_job(resources: ScheduledResources, name: str) -> dict[str, str | int]:
    """Run one job to its end and tell what it did.

    Every job may run twice, at once or one after the other, and do its work once.

    raises  UnknownJob; whatever the job raises, having logged nothing
    """
    job = JOBS.get(name)
    if job is None:
        raise UnknownJob(f"There is no job of this name. There are: {', '.join(JOBS)}.", param="name")
    started_s = time.monotonic()
    counts = await job(resources)
    log_event("job_finished", job=name, duration_ms=elapsed_ms(started_s), did=dict(counts))
    return {"job": name, **counts}


async def _settlement_sweep(resources: ScheduledResources) -> Counts:
    swept = await sweep_settlements(resources.settlements)
    return {
        "late_settled": swept.late.settled,
        "late_waiting": swept.late.waiting,
        "dead_letters": swept.late.buried,
        "wallets": swept.wallets,
        "answers_erased": swept.answers_erased,
    }


async def _key_rotation(resources: ScheduledResources) -> Counts:
    return {"keys_rotated": await rotate_due_keys(resources.rotations)}


async def _usage_roll_up(resources: ScheduledResources) -> Counts:
    rolled = await roll_up_usage(resources.usage)
    return {"accounts_closed": rolled.closed, "accounts_summed": rolled.summed}


JOBS: Mapping[str, Job] = MappingProxyType(
    {
        "key_rotation": _key_rotation,
        "settlement_sweep": _settlement_sweep,
        "usage_roll_up": _usage_roll_up,
    }
)
