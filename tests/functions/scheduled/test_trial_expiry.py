"""The job that closes trials and writes those who have one that it soon ends."""

import asyncio
from collections.abc import Iterator

import pytest

from infra.local.stack import LocalStack
from tests.functions.billing.people import STATUS, Crowd, Person
from tests.functions.keys.client import outcome, run_sql
from tests.functions.scheduled.test_jobs import AS_SCHEDULER, SECRET, call
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenants

EXPIRY = "/internal/jobs/trial_expiry"
AGE = """
    with trial as (update gateway.trials set started_at = started_at - %s::interval, ends_at = ends_at - %s::interval
                    where account_id = %s returning lot_id)
    update gateway.lots set expires_at = expires_at - %s::interval where id in (select lot_id from trial)
"""
READ_MAILS = """
    select template from gateway.outbox where account_id = %s and template like 'trial%%' order by created_at
"""
BREAK = "alter table gateway.trials add constraint broken check (account_id <> {} or ended_at is null) not valid"
MEND = "alter table gateway.trials drop constraint broken"


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


@pytest.fixture
def crowd(gateway: RunningGateway, tenant: Tenants) -> Crowd:
    return Crowd(gateway, tenant)


async def on_trial(crowd: Crowd, age: str) -> Person:
    """Make somebody whose trial began so long ago."""
    person = crowd()
    assert outcome(await person.start_trial()) == 200
    run_sql(person.database_url, AGE, age, age, person.account_id, age)
    return person


async def expire(gateway: RunningGateway) -> tuple[int, int]:
    """Run the job; return how many trials it ended, and of how many it told."""
    answer = await call(gateway, EXPIRY, AS_SCHEDULER)
    assert answer.status == 200, answer.raw
    return answer.json["trials_ended"], answer.json["trials_reminded"]


def mails(person: Person) -> list[str]:
    return [template for (template,) in run_sql(person.database_url, READ_MAILS, person.account_id)]


async def test_the_job_closes_what_is_over_and_tells_of_what_soon_is(gateway: RunningGateway, crowd: Crowd) -> None:
    over, ending, fresh = [await on_trial(crowd, age) for age in ("73 hours", "49 hours", "1 hour")]
    assert await expire(gateway) == (1, 1)
    assert await expire(gateway) == (0, 0)
    assert [mails(person)[1:] for person in (over, ending, fresh)] == [["trial_ended"], ["trial_ending"], []]
    states = [(await person.read(STATUS))["state"] for person in (over, ending, fresh)]
    assert states == ["ended", "active", "active"]
    assert (await over.read("/user/balance"))["available"] == "0.000000000"
    assert "trial" not in await over.read("/user/balance")


async def test_jobs_at_once_close_each_trial_once(gateway: RunningGateway, crowd: Crowd) -> None:
    people = [await on_trial(crowd, "4 days") for _ in range(6)]
    counts = await asyncio.gather(*(expire(gateway) for _ in range(6)))
    assert [sum(numbers) for numbers in zip(*counts, strict=True)] == [6, 0]
    assert [mails(person) for person in people] == [["trial_started", "trial_ended"]] * 6


async def test_a_trial_that_cannot_be_closed_keeps_no_other_open(gateway: RunningGateway, crowd: Crowd) -> None:
    stuck, other = await on_trial(crowd, "9 days"), await on_trial(crowd, "4 days")
    run_sql(stuck.database_url, BREAK.format(stuck.account_id))
    try:
        assert outcome(await call(gateway, EXPIRY, AS_SCHEDULER)) == "storage_unavailable"
        assert (mails(stuck), mails(other)) == (["trial_started"], ["trial_started", "trial_ended"])
    finally:
        run_sql(stuck.database_url, MEND)
    assert await expire(gateway) == (1, 0)


async def test_what_is_bought_in_a_trial_outlives_it(gateway: RunningGateway, crowd: Crowd, make_model: Models) -> None:
    person = await on_trial(crowd, "2 days")
    run_sql(person.database_url, "select api.credit_account(%s, 1000000000, 'purchase', 'x')", person.account_id)
    run_sql(person.database_url, AGE, "2 days", "2 days", person.account_id, "2 days")
    assert await expire(gateway) == (1, 0)
    assert (await person.read("/user/balance"))["available"] == "1.000000000"
    assert outcome(await person.holder.complete(make_model("tokens=5"))) == 200
