"""`make dev`'s scheduler: runs the jobs when they are due, as a platform's does.

python -m infra.local.scheduler
"""

import asyncio
import sys
import time
from collections.abc import Callable, Mapping
from types import MappingProxyType

from functions.scheduled.jobs import run_job
from functions.scheduled.resources import ScheduledResources, open_resources
from infra.local.processes import Service
from infra.local.stack import ROOT
from shared.core.errors import GatewayError
from shared.core.log import log_event

MINUTE_S, HOUR_S, DAY_S = 60, 3600, 86400
# As serverless.yml has them, but that nobody waits a minute for an e-mail.
EVERY_S: Mapping[str, int] = MappingProxyType(
    {
        # First, so that a new gateway soon has models.
        "catalog_sync": HOUR_S,
        "outbox": 2,
        "settlement_sweep": MINUTE_S,
        "trial_expiry": 15 * MINUTE_S,
        "billing_sweep": 15 * MINUTE_S,
        "usage_roll_up": HOUR_S,
        "ranking_sync": HOUR_S,
        "key_rotation": DAY_S,
        "reconcile": DAY_S,
        "purge": DAY_S,
        "archive": DAY_S,
        "monthly_reports": DAY_S,
    }
)
LOOK_EVERY_S = 0.5


class Schedule:
    """When each job is due next; all are due at once."""

    def __init__(self, every_s: Mapping[str, int], clock_s: Callable[[], float]) -> None:
        self._every_s = every_s
        self._clock_s = clock_s
        self._due_s = dict.fromkeys(every_s, clock_s())

    def take_due(self) -> list[str]:
        """Return the jobs that are due, and put each off until its next time."""
        now_s = self._clock_s()
        due = [job for job, due_s in self._due_s.items() if due_s <= now_s]
        self._due_s |= {job: now_s + self._every_s[job] for job in due}
        return due


def scheduler_service(environment: Mapping[str, str]) -> Service:
    """Describe the scheduler of a gateway with these variables."""
    return Service(
        name="scheduler",
        command=(sys.executable, "-m", "infra.local.scheduler"),
        environment={**environment, "PYTHONPATH": str(ROOT)},
        # Nobody waits for it.
        is_ready=lambda: True,
    )


async def run_due(resources: ScheduledResources, schedule: Schedule) -> None:
    """Run what is due, one after the other; a job that a store or a service keeps from its work is due again later."""
    for job in schedule.take_due():
        try:
            await run_job(resources, job)
        except GatewayError as error:
            log_event("job_failed", level="warning", job=job, code=error.code)


async def run() -> None:
    """Run until the process is ended."""
    schedule = Schedule(EVERY_S, time.monotonic)
    async with open_resources() as resources:
        while True:
            await run_due(resources, schedule)
            await asyncio.sleep(LOOK_EVERY_S)


if __name__ == "__main__":
    asyncio.run(run())
