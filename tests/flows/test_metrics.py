"""What CloudWatch reads out of a gateway's lines: as many requests, errors and nano-dollars as there were."""

import json
from collections import Counter
from functools import partial
from typing import Any

import aiohttp

from infra.local.stack import LocalStack
from tests.flows.calls import PATH, ask, chat, wait_until
from tests.flows.conftest import CRON_SECRET, sweep_at
from tests.flows.test_logs import is_call_of
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, Tenants
from tests.harness.wire import Fault, Wire

FUNCTION = "ai-gateway-prod-chat"
ON_LAMBDA = {"AWS_LAMBDA_FUNCTION_NAME": FUNCTION, "CLIENT_ADDRESS_SOURCE": "lambda", "CRON_SECRET": CRON_SECRET}


def measured(gateway: RunningGateway) -> dict[str, list[float]]:
    """Return every value of every metric, as CloudWatch would take them out."""
    values: dict[str, list[float]] = {}
    for line in (json.loads(line) for line in gateway.log_text().splitlines() if line.startswith("{")):
        for directive in line.get("_aws", {}).get("CloudWatchMetrics", []):
            assert directive["Dimensions"] == [["gateway"]]
            assert (line["gateway"], line["function_name"]) == ("ai-gateway-prod", FUNCTION)
            for metric in directive["Metrics"]:
                values.setdefault(metric["Name"], []).append(line[metric["Name"]])
    return values


async def test_requests_errors_and_money_are_what_they_were(
    stack: LocalStack, start_gateway: Gateways, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    wire = Wire(stack.supabase_url).open()
    try:
        gateway = start_gateway(SUPABASE_URL=wire.url, **ON_LAMBDA)
        before = Counter({name: sum(values) for name, values in measured(gateway).items()})
        customer, model = tenant(), make_model("prompt_tokens=7,tokens=5")
        for is_stream in (False, True):
            assert (await ask(session, gateway.url, customer, chat(model, stream=is_stream))).status == 200
        assert (await ask(session, gateway.url, customer, chat(make_model("status=500")))).status == 502
        assert (await ask(session, gateway.url, tenant(credit_nanos=0), chat(model))).status == 402
        with wire.broken(Fault(status=500, matches=partial(is_call_of, "settle"))):
            assert (await ask(session, gateway.url, customer, chat(model))).status == 200
        await sweep_at(gateway.url)
    finally:
        wire.close()
    # Its line is written when the client has its answer.
    await wait_until(lambda: sum(measured(gateway)["requests"]) == before["requests"] + 6)
    values = measured(gateway)
    sums = Counter({name: sum(of_it) for name, of_it in values.items()})
    sums.subtract(before)
    # Five completions, and the sweep.
    assert (sums["requests"], sums["errors"]) == (6, 1)
    assert (sums["calls"], sums["calls_failed"]) == (4, 1)
    # Two at once, and one by the sweep.
    spent_nanos = 10 * 10**9 - customer.balance()["available_nanos"]
    assert sums["cost_nanos"] == sums["provider_cost_nanos"] == spent_nanos == 3 * 17_000
    assert sums["shortfall_nanos"] == 0
    assert len(values["duration_ms"]) - before["requests"] == 6
    assert len(values["first_byte_ms"]) == 3


async def test_a_stream_that_breaks_off_is_a_failed_call_and_one_that_its_client_leaves_is_none(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    gateway, customer = start_gateway(**ON_LAMBDA), tenant()
    assert not (
        await ask(session, gateway.url, customer, chat(make_model("tokens=9,cut=mid_stream"), stream=True))
    ).is_done
    body = chat(make_model("tokens=100,pace_ms=20"), stream=True)
    async with session.post(f"{gateway.url}{PATH}", json=body, headers=customer.headers) as response:
        await response.content.readany()
        response.close()
    await wait_until(lambda: len(measured(gateway).get("calls", [])) == 2)
    assert sorted(measured(gateway)["calls_failed"]) == [0, 1]
    lines = [json.loads(line) for line in gateway.log_text().splitlines() if '"call_ended"' in line]
    told = {(line["outcome"], line.get("broken_off")) for line in lines}
    assert told <= {("interrupted", "stream_interrupted"), ("abandoned", None), ("completed", None)}
    assert ("interrupted", "stream_interrupted") in told


async def test_a_stream_that_ends_with_its_client_s_credit_is_no_failed_call(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    gateway, customer = start_gateway(**ON_LAMBDA), tenant(credit_nanos=4_400 * 2_000)
    model = make_model("tokens=15000,prompt_tokens=10", providers=("featherless",))
    answer = await ask(session, gateway.url, customer, chat(model, stream=True))
    assert answer.body[-1]["error"]["code"] == "insufficient_credits"
    assert (measured(gateway)["calls"], measured(gateway)["calls_failed"]) == ([1], [0])


async def test_elsewhere_no_line_is_a_metric(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, session: aiohttp.ClientSession
) -> None:
    await ask(session, gateway.url, tenant(), chat(make_model("tokens=2")))
    lines: list[dict[str, Any]] = [json.loads(line) for line in gateway.log_text().splitlines() if line.startswith("{")]
    assert [line for line in lines if {"_aws", "requests", "calls", "gateway", "function_name"} & set(line)] == []
