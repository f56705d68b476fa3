"""What only AWS has: roles, schedules, the queue of failures, instances that freeze and die, its own refusals."""

import asyncio
import json
import time
from collections.abc import Callable

import aiohttp
import pytest
from botocore.exceptions import ClientError

from functions.scheduled.jobs import JOBS
from infra.local.stack import ROOT, LocalStack
from tests.deploy.aws.deployment import STAGE
from tests.deploy.aws.functions import MAX_INSTANCES
from tests.deploy.aws.gateway import LambdaGateway, function_name, running_functions
from tests.functions.chat.client import HELLO, PATH, TIMEOUT, Answer
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants

WITHIN_S = 30.0
SWEEP = "settlement_sweep"
GROUPS = sorted(path.parent.name for path in (ROOT / "functions").glob("*/app.py"))
MISSING = "SUPABASE_URL"


@pytest.fixture
async def overdue(
    stack: LocalStack, aws: LambdaGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> Tenant:
    """A tenant whose request's instance died: its hold is over and nobody has let it go."""
    customer, model = tenant(), make_model("gate=dying-instance")
    with running_functions(stack, aws.account) as dying:
        request = asyncio.create_task(post(dying.url, customer, model.id))
        await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    with pytest.raises(aiohttp.ClientError):
        await request
    simulator.open_gate("dying-instance")
    customer.books.make_holds_overdue()
    return customer


async def post(url: str, customer: Tenant, model: str) -> bytes:
    body = {"model": model, "messages": HELLO}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(url + PATH, json=body, headers=customer.headers) as response,
    ):
        return await response.read()


async def get(url: str) -> Answer:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session, session.get(url) as response:
        return Answer(response.status, response.headers.copy(), await response.read())


def wait_until(holds: Callable[[], object]) -> None:
    deadline_s = time.monotonic() + WITHIN_S
    while not holds():
        assert time.monotonic() < deadline_s, "it did not come to pass"
        time.sleep(0.05)


@pytest.mark.parametrize("group", GROUPS)
def test_a_function_s_role_reads_its_own_parameters_and_no_other(aws: LambdaGateway, group: str) -> None:
    functions = aws.deployed.functions
    own = {name.strip() for name in functions[function_name(group)].variables["PARAMETERS"].split(",")}
    every = {name.strip() for each in functions.values() for name in each.variables["PARAMETERS"].split(",")}
    store = aws.account.assume_role(functions[function_name(group)].role_arn).client("ssm")
    for name in every:
        if name in own:
            store.get_parameters(Names=[f"/ai-gateway/{STAGE}/{name}"], WithDecryption=True)
        else:
            with pytest.raises(ClientError, match="not authorized"):
                store.get_parameters(Names=[f"/ai-gateway/{STAGE}/{name}"], WithDecryption=True)
    for anything in (f"/ai-gateway/{STAGE}/OTHER", f"/ai-gateway/other/{min(own)}"):
        with pytest.raises(ClientError, match="not authorized"):
            store.get_parameters(Names=[anything])


def test_no_value_of_a_parameter_stands_in_a_function_s_variables(aws: LambdaGateway) -> None:
    store = aws.account.client("ssm")
    names = [
        parameter["Name"]
        for page in store.get_paginator("describe_parameters").paginate()
        for parameter in page["Parameters"]
    ]
    values = [store.get_parameter(Name=name, WithDecryption=True)["Parameter"] for name in names]
    assert {value["Type"] for value in values} == {"SecureString"}
    deployed = json.dumps([dict(function.variables) for function in aws.deployed.functions.values()])
    assert [value["Name"] for value in values if value["Value"] in deployed] == []


async def test_a_function_that_lacks_a_parameter_refuses_to_start_and_names_it(
    stack: LocalStack, aws: LambdaGateway
) -> None:
    store, name = aws.account.client("ssm"), f"/ai-gateway/{STAGE}/{MISSING}"
    value = store.get_parameter(Name=name, WithDecryption=True)["Parameter"]["Value"]
    store.delete_parameter(Name=name)
    try:
        with running_functions(stack, aws.account) as gateway:
            answers = {group: await get(gateway.url + a_path_of(gateway, group)) for group in GROUPS}
            logs = {group: gateway.log_text(group) for group in GROUPS}
    finally:
        store.put_parameter(Name=name, Value=value, Type="SecureString")
    for group, answer in answers.items():
        assert answer.status == 500, group
        assert answer.json["error"].keys() == {"message", "type", "code", "param", "request_id", "retryable"}
        assert (answer.json["error"]["code"], answer.json["error"]["retryable"]) == ("internal_error", False)
        assert answer.json["error"]["request_id"] == answer.headers["x-amzn-RequestId"]
        assert answer.headers["x-should-retry"] == "false"
        assert f"{MISSING} is not set" in logs[group]
        assert value not in logs[group]


def a_path_of(gateway: LambdaGateway, group: str) -> str:
    """Return a path that reaches the group's function."""
    resources = (route.resource for route in gateway.deployed.api.routes if route.function == function_name(group))
    return next(resources).replace("{", "").replace("}", "").replace("+", "")


async def test_an_unknown_path_is_answered_by_the_catalog(aws: LambdaGateway) -> None:
    for path in ("/", "/nowhere", "/v1", "/v1/chat", "/internal/jobs", "/v1/chat/completions/more"):
        answer = await get(aws.url + path)
        assert (answer.status, answer.error["code"]) == (404, "unknown_path"), path


def test_a_schedule_runs_its_job(aws: LambdaGateway, overdue: Tenant) -> None:
    assert [hold.state for hold in overdue.books.holds()] == ["held"]
    aws.run_schedule(SWEEP)
    wait_until(lambda: [hold.state for hold in overdue.books.holds()] == ["expired"])
    assert overdue.books.broken_rules() == []


@pytest.mark.parametrize("job", sorted(JOBS))
def test_the_schedule_of_every_job_reaches_it(aws: LambdaGateway, job: str) -> None:
    before = aws.log_text("scheduled").count(f'"job": "{job}"')
    aws.run_schedule(job)
    wait_until(lambda: aws.log_text("scheduled").count(f'"job": "{job}"') > before)


def test_a_job_that_fails_is_tried_again_and_then_lands_in_the_queue(stack: LocalStack, aws: LambdaGateway) -> None:
    assert aws.failures() == []
    with stack.without("postgrest"):
        aws.run_schedule(SWEEP)
        wait_until(aws.failures)
    (failure,) = aws.failures()
    assert failure["requestPayload"] == {"job": SWEEP}
    assert failure["requestContext"]["condition"] == "RetriesExhausted"
    assert failure["requestContext"]["approximateInvokeCount"] == 2
    assert failure["requestContext"]["functionArn"].endswith(":function:ai-gateway-prod-scheduled:$LATEST")
    assert failure["responseContext"]["functionError"] == "Unhandled"
    assert failure["responsePayload"]["errorType"] == "StoreUnavailable"
    assert aws.invoke("scheduled", {"job": SWEEP})["job"] == SWEEP


@pytest.mark.parametrize("door", ["url", "function_url"])
async def test_a_client_that_hangs_up_is_charged_for_what_the_provider_said(
    aws: LambdaGateway, tenant: Tenants, make_model: Models, simulator: Simulator, door: str
) -> None:
    """Lambda never tells a function of it: the stream is drained to its end."""
    customer, model = tenant(), make_model("tokens=10,pace_ms=100")
    body = {"model": model.id, "messages": HELLO, "stream": True}
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(getattr(aws, door) + PATH, json=body, headers=customer.headers) as response,
    ):
        assert (await response.content.readany()).startswith(b"data: ")
        assert response.connection is not None
        assert response.connection.transport is not None
        response.connection.transport.abort()
    await asyncio.to_thread(wait_until, customer.books.usage_lines)
    (line,) = customer.books.usage_lines()
    assert (line.outcome, line.output_tokens) == ("completed", 10)
    assert line.charged_nanos == simulator.bill_nanos(model.upstream_model)


async def test_a_frozen_instance_works_on_when_its_connections_were_closed_meanwhile(
    stack: LocalStack, aws: LambdaGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=2").id
    assert b"tok1" in await post(aws.url, customer, model)
    for store in ("supabase-front", "redis-rest", "simulator"):
        with stack.without(store):
            pass
    assert b"tok1" in await post(aws.url, customer, model)
    assert (await get(f"{aws.url}/v1/models")).status == 200
    assert aws.invoke("scheduled", {"job": SWEEP})["job"] == SWEEP


async def test_a_request_for_which_no_instance_is_left_is_told_to_come_again(
    aws: LambdaGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model("gate=full-house")
    busy = [asyncio.create_task(post(aws.url, customer, model.id)) for _ in range(MAX_INSTANCES)]
    await asyncio.to_thread(simulator.wait_for, MAX_INSTANCES, model.upstream_model)
    async with (
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
        session.post(aws.url + PATH, json={"model": model.id, "messages": HELLO}, headers=customer.headers) as response,
    ):
        answer = Answer(response.status, response.headers.copy(), await response.read())
    simulator.open_gate("full-house")
    assert (answer.status, answer.json["error"]["code"]) == (503, "gateway_overloaded")
    assert (answer.headers["x-should-retry"], answer.headers["Retry-After"]) == ("true", "2")
    assert all(b"choices" in answer for answer in await asyncio.gather(*busy))
    assert len(customer.books.usage_lines()) == MAX_INSTANCES
