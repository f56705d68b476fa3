"""What comes again under its key is answered as before and paid once; who leaves is charged once and holds nothing."""

import asyncio
import contextlib
import time
from typing import Any

import aiohttp
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.asked_again import FIRST_TRY, KEY, SECOND_TRY, assert_replayed
from tests.functions.chat.books import assert_settled, usage_line, wait_until_settled
from tests.functions.chat.client import Answer, post
from tests.functions.images.client import PATH, PROMPT
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenant, Tenants, TestModel

START = 10 * NANOS_PER_DOLLAR
IMAGE = NANOS_PER_DOLLAR * 4 // 100


async def _send(
    gateway: RunningGateway, tenant: Tenant, model: TestModel, headers: dict[str, str], **fields: Any
) -> Answer:
    body = {"model": model.id, "prompt": PROMPT, **fields}
    return await post(gateway.url, body, {**tenant.headers, **headers}, PATH)


async def _leave(
    gateway: RunningGateway, tenant: Tenant, model: TestModel, after_s: float, headers: dict[str, str] | None = None
) -> None:
    async with aiohttp.ClientSession(headers={**tenant.headers, **(headers or {})}) as session:
        with contextlib.suppress(TimeoutError):
            async with (
                asyncio.timeout(after_s),
                session.post(gateway.url + PATH, json={"model": model.id, "prompt": PROMPT}) as response,
            ):
                await response.read()


@pytest.mark.parametrize(("first_try", "second_try"), [(KEY, KEY), (FIRST_TRY, SECOND_TRY)])
async def test_the_same_request_gets_the_first_images_again_and_pays_once(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    simulator: Simulator,
    *,
    first_try: dict[str, str],
    second_try: dict[str, str],
) -> None:
    customer, model = tenant(), make_model.image_model()
    first = await _send(gateway, customer, model, first_try, n=2)
    again = await _send(gateway, customer, model, second_try, n=2)
    assert_replayed(first, again)
    assert b'"cost":0.08}' in again.raw
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == 2 * IMAGE


@pytest.mark.parametrize("change", [{"n": 2}, {"size": "auto"}, {"prompt": "A dog."}])
async def test_another_request_under_the_same_key_is_refused(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, change: dict[str, Any]
) -> None:
    customer, model = tenant(), make_model.image_model()
    await _send(gateway, customer, model, KEY)
    other = await _send(gateway, customer, model, KEY, **change)
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert assert_settled(customer, START) == IMAGE


async def test_images_too_large_to_keep_are_not_made_and_paid_again(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.image_model("image_bytes=20000000")
    first = await _send(gateway, customer, model, KEY)
    assert (first.status, len(first.raw) > 20_000_000) == (200, True)
    again = await _send(gateway, customer, model, KEY)
    assert (again.status, again.error["code"]) == (409, "answer_not_stored")
    assert first.generation_id in again.error["message"]
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == IMAGE


async def test_of_many_at_once_under_one_key_one_is_made_and_paid(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.image_model("first_byte_ms=400")
    answers = await asyncio.gather(*(_send(gateway, customer, model, KEY) for _ in range(8)))
    assert sorted({answer.status for answer in answers}) == [200, 409]
    assert {answer.error["code"] for answer in answers if answer.status == 409} == {"idempotency_in_progress"}
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == IMAGE


async def test_of_many_at_once_no_more_are_made_than_the_balance_pays(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(credit_nanos=3 * IMAGE), make_model.image_model("first_byte_ms=300")
    answers = await asyncio.gather(*(_send(gateway, customer, model, {}) for _ in range(10)))
    assert sorted(answer.status for answer in answers) == [200] * 3 + [402] * 7
    assert len(simulator.requests(model.upstream_model)) == 3
    assert assert_settled(customer, 3 * IMAGE) == 3 * IMAGE


async def test_who_leaves_while_images_are_made_is_charged_once_and_holds_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.image_model("first_byte_ms=900")
    await _leave(gateway, customer, model, after_s=0.3)
    assert len(simulator.wait_for(1, model.upstream_model)) == 1
    line = await asyncio.to_thread(wait_until_settled, customer, 8)
    assert line["outcome"] == "completed"
    assert assert_settled(customer, START) == IMAGE


async def test_who_left_finds_the_images_when_he_asks_again(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    customer, model = tenant(), make_model.image_model("first_byte_ms=900")
    await _leave(gateway, customer, model, after_s=0.3, headers=KEY)
    await asyncio.to_thread(wait_until_settled, customer, 8)
    again = await _send(gateway, customer, model, KEY)
    assert (again.status, again.headers["Idempotent-Replayed"]) == (200, "true")
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == IMAGE


async def test_a_provider_that_is_still_at_it_when_the_time_is_over_is_paid_by_the_house(
    start_gateway: Gateways, tenant: Tenants, make_model: Models
) -> None:
    gateway = start_gateway(FUNCTION_TIME_LIMIT_S="22")
    customer, model = tenant(), make_model.image_model("first_byte_ms=20000")
    started_s = time.monotonic()
    answer = await _send(gateway, customer, model, {}, n=3)
    assert (answer.status, answer.error["code"]) == (504, "time_limit_reached")
    assert time.monotonic() - started_s < 6
    assert assert_settled(customer, START) == 0
    line = usage_line(customer, answer.generation_id)
    assert (line["waived_reason"], line["provider_cost_nanos"]) == ("time_limit", 3 * IMAGE)


async def test_a_function_that_dies_leaves_a_hold_that_lets_go(
    start_gateway: Gateways, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    gateway = start_gateway()
    customer, model = tenant(), make_model.image_model("first_byte_ms=20000")
    asking = asyncio.create_task(_send(gateway, customer, model, {}))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    gateway.kill()
    with contextlib.suppress(aiohttp.ClientError):
        await asking
    assert [hold.state for hold in customer.books.holds()] == ["held"]
    customer.books.end_holds()
    assert assert_settled(customer, START) == 0
