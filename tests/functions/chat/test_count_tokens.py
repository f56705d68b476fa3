"""POST /v1/messages/count_tokens: an estimate from above that is counted as a request and costs nothing."""

from typing import Any

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, has_no_usage_line
from tests.functions.chat.client import HELLO, Answer, post
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenants

START = 10 * NANOS_PER_DOLLAR
PATH = "/v1/messages/count_tokens"


async def count(gateway: RunningGateway, headers: dict[str, str], **fields: Any) -> Answer:
    return await post(gateway.url, {"model": "any/model", "messages": HELLO, **fields}, headers, PATH)


async def test_a_prompt_is_estimated_and_marked_so_and_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model()
    answer = await count(gateway, {"x-api-key": customer.api_key}, model=model.id)
    longer = await count(gateway, customer.headers, model=model.id, system="x" * 1000)
    assert answer.json["is_estimate"] is True
    assert longer.json["input_tokens"] >= answer.json["input_tokens"] + 250
    assert simulator.requests(model.upstream_model) == []
    assert has_no_usage_line(customer)
    assert assert_settled(customer, START) == 0


async def test_it_counts_as_a_request_of_the_minute(gateway: RunningGateway, tenant: Tenants) -> None:
    customer = tenant(limits=PlanLimits(requests_per_minute=1))
    assert (await count(gateway, customer.headers)).status == 200
    refused = await count(gateway, customer.headers)
    assert (refused.status, refused.error["type"]) == (429, "rate_limit_error")


@pytest.mark.parametrize(
    ("headers", "status"), [({}, 401), ({"x-api-key": "sk-ant-1"}, 401), ({"anthropic-version": "2020-01-01"}, 400)]
)
async def test_who_may_not_ask_is_told_in_anthropic_s_shape(
    gateway: RunningGateway, tenant: Tenants, headers: dict[str, str], status: int
) -> None:
    known = tenant().headers if status == 400 else {}
    answer = await count(gateway, {**known, **headers})
    assert answer.status == status
    assert answer.json["error"]["type"] == ("invalid_request_error" if status == 400 else "authentication_error")
    assert answer.error["param"] == ("anthropic-version" if status == 400 else None)


@pytest.mark.parametrize(("fields", "param"), [({"messages": []}, "messages"), ({"mcp_servers": [{}]}, "mcp_servers")])
async def test_bad_input_names_its_field(
    gateway: RunningGateway, tenant: Tenants, fields: dict[str, Any], param: str
) -> None:
    answer = await count(gateway, tenant().headers, **fields)
    assert (answer.status, answer.error["param"]) == (400, param)
