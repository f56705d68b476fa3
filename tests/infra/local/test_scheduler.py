from collections.abc import AsyncIterator

import pytest

from functions.scheduled.jobs import JOBS
from functions.scheduled.resources import ScheduledResources, open_resources
from infra.local.environment import gateway_environment
from infra.local.scheduler import EVERY_S, Schedule, run_due
from infra.local.stack import LocalStack


@pytest.fixture
async def resources(catalog_stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[ScheduledResources]:
    for name, value in gateway_environment(catalog_stack, {}).items():
        monkeypatch.setenv(name, value)
    async with open_resources() as opened:
        yield opened


def test_every_job_is_run() -> None:
    assert set(EVERY_S) == set(JOBS)


def test_all_are_due_at_once_and_then_each_in_its_own_time() -> None:
    now_s = 100.0
    schedule = Schedule({"often": 2, "seldom": 60}, lambda: now_s)
    assert schedule.take_due() == ["often", "seldom"]
    assert schedule.take_due() == []
    now_s += 2
    assert schedule.take_due() == ["often"]
    now_s += 58
    assert schedule.take_due() == ["often", "seldom"]


async def test_what_is_due_is_done(resources: ScheduledResources, capsys: pytest.CaptureFixture[str]) -> None:
    await run_due(resources, Schedule(EVERY_S, lambda: 0.0))
    told = capsys.readouterr().out
    assert [job for job in JOBS if f'"job":"{job}"' not in told.replace(" ", "")] == []
    assert "job_failed" not in told


async def test_a_job_whose_store_is_away_is_told_of_and_does_not_keep_others_from_their_work(
    resources: ScheduledResources, catalog_stack: LocalStack, capsys: pytest.CaptureFixture[str]
) -> None:
    with catalog_stack.without("postgrest"):
        await run_due(resources, Schedule({"trial_expiry": 60, "key_rotation": 60}, lambda: 0.0))
    told = capsys.readouterr().out
    assert told.count("job_failed") == 2
