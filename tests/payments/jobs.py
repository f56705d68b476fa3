"""Starting the jobs as a scheduler does."""

from typing import Any

from tests.functions.scheduled.test_jobs import call
from tests.harness.gateways import RunningGateway

CRON_SECRET = "a scheduler of the tests"
AS_SCHEDULER = {"Authorization": f"Bearer {CRON_SECRET}"}


async def run_job(gateway: RunningGateway, name: str) -> dict[str, Any]:
    """Run a job and return what it did."""
    answer = await call(gateway, f"/internal/jobs/{name}", AS_SCHEDULER)
    assert answer.status == 200, answer.raw
    return answer.json
