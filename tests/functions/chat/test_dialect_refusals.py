"""What is refused in each dialect: in its client's own shape, with its field, and free."""

from typing import Any

import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled
from tests.functions.chat.speakers import EACH, STREAMED, Speaker
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.tenants import Models, PlanLimits, Tenants

START = 10 * NANOS_PER_DOLLAR


@EACH
async def test_after_a_ping_a_refusal_is_an_event(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    customer, model = tenant(), make_model("first_byte_ms=5600,status=500", providers=("featherless",))
    gateway = start_gateway(PROVIDER_SILENCE_LIMIT_S="30")
    answer = await speaker.ask(gateway, customer, model, stream=True)
    assert speaker.read_failed(answer)["code"] == "provider_unavailable"
    assert assert_settled(customer, START) == 0


@EACH
@STREAMED
@pytest.mark.parametrize(
    ("status", "code"), [(500, "provider_unavailable"), (429, "provider_rate_limited"), (503, "provider_overloaded")]
)
async def test_a_provider_that_refuses_is_told_in_the_client_s_shape_and_costs_nothing(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    speaker: Speaker,
    is_stream: bool,
    status: int,
    code: str,
) -> None:
    customer, model = tenant(), make_model(f"status={status}", providers=("featherless",))
    answer = await speaker.ask(gateway, customer, model, stream=is_stream)
    assert answer.status >= 429
    assert answer.error["code"] == code
    assert assert_settled(customer, START) == 0


@EACH
async def test_limits_are_told_in_the_client_s_shape(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=1)), make_model()
    assert (await speaker.ask(gateway, customer, model)).status == 200
    answer = await speaker.ask(gateway, customer, model)
    assert answer.status == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert answer.error["code"] == "rate_limit_requests"


@EACH
@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"model": "nobody/nothing"}, 404, "model_not_found"),
        ({"temperature": "warm"}, 400, "invalid_request"),
        ({"service_tier": "flex"}, 400, "unsupported_parameter"),
    ],
)
async def test_bad_input_is_told_in_the_client_s_shape_with_its_field(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    speaker: Speaker,
    fields: dict[str, Any],
    status: int,
    code: str,
) -> None:
    customer, model = tenant(), make_model()
    if speaker.name == "chat" and "temperature" in fields:
        pytest.skip("chat leaves it to the provider")
    asked_model = fields.get("model", model)
    others = {name: value for name, value in fields.items() if name != "model"}
    answer = await speaker.ask(gateway, customer, asked_model, **others)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (status, code, next(iter(fields)))
    assert assert_settled(customer, START) == 0
