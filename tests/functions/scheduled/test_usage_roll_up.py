"""The job that sums closed days."""

import asyncio
from collections.abc import Iterator

import pytest

from infra.local.stack import LocalStack
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenant, Tenants

SECRET = "a cron secret of the tests"
JOB = "/internal/jobs/usage_roll_up"
MOVE_BACK = "update gateway.usage_lines set created_at = created_at - interval '2 days' where account_id = %s"
MOVE_OPEN_DAYS_BACK = "update gateway.usage_open_days set day = day - 2 where account_id = %s"
READ_DAYS = "select sum(requests)::int, sum(cost_nanos)::bigint from gateway.usage_days where account_id = %s"


@pytest.fixture(scope="module")
def gateway(stack: LocalStack) -> Iterator[RunningGateway]:
    gateways = Gateways(stack)
    try:
        yield gateways(CRON_SECRET=SECRET)
    finally:
        gateways.stop_all()


async def _customer_of_two_days_ago(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> Tenant:
    customer, model = tenant(), make_model("tokens=2")
    for _ in range(3):
        assert (await owner_of(gateway, customer).complete(model)).status == 200
    for statement in (MOVE_BACK, MOVE_OPEN_DAYS_BACK):
        run_sql(customer.database_url, statement, customer.account_id)
    return customer


async def test_closed_days_are_summed_once_however_often_and_however_many_at_once(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customers = [await _customer_of_two_days_ago(gateway, tenant, make_model) for _ in range(3)]
    scheduler = Holder(gateway, SECRET)
    answers = await asyncio.gather(*(scheduler.call("POST", JOB) for _ in range(4)))
    answers.append(await scheduler.call("GET", JOB))
    assert [answer.status for answer in answers] == [200] * 5
    assert sum(answer.json["accounts_summed"] for answer in answers) == 3
    for customer in customers:
        cost = sum(line.cost_nanos for line in customer.books.usage_lines())
        assert run_sql(customer.database_url, READ_DAYS, customer.account_id) == [(3, cost)]
    again = await scheduler.call("POST", JOB)
    assert (again.json["accounts_closed"], again.json["accounts_summed"]) == (0, 0)
