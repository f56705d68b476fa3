"""What comes again under its Idempotency-Key is answered as before, and paid once."""

import asyncio
import secrets
from typing import Any

import aiohttp
import pytest

from infra.local.stack import LocalStack
from tests.functions.chat.asked_again import (
    COST,
    FIRST_TRY,
    KEY,
    KINDS,
    SECOND_TRY,
    START,
    STREAM,
    assert_replayed,
    execute,
    send,
)
from tests.functions.chat.books import assert_settled, usage_line
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenants


class TestKeys:
    @KINDS
    async def test_the_same_key_and_body_get_the_first_answer_again_and_pay_once(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, kind: dict[str, Any]
    ) -> None:
        customer, model = tenant(limits=PlanLimits(requests_per_minute=100)), make_model("prompt_tokens=10")
        first = await send(gateway, customer, model, KEY, **kind)
        for _ in range(2):
            again = await send(gateway, customer, model, KEY, **kind)
            assert_replayed(first, again)
            assert int(again.headers["x-ratelimit-remaining-requests"]) < 100
        assert b'"cost":0.000026' in first.raw
        assert len(simulator.requests(model.upstream_model)) == 1
        assert assert_settled(customer, START) == COST

    @KINDS
    async def test_another_body_under_the_same_key_is_refused(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, kind: dict[str, Any]
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        await send(gateway, customer, model, KEY, **kind)
        other = await send(gateway, customer, model, KEY, temperature=0.5, **kind)
        assert (other.status, other.error["code"], other.error["param"]) == (
            409,
            "idempotency_key_reused",
            "Idempotency-Key",
        )
        assert not other.error["retryable"]
        assert assert_settled(customer, START) == COST

    @KINDS
    async def test_while_the_first_is_under_way_the_second_is_told_to_wait(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, kind: dict[str, Any]
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=700")
        first = asyncio.create_task(send(gateway, customer, model, KEY, **kind))
        await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
        early = await send(gateway, customer, model, KEY, **kind)
        assert (early.status, early.error["code"]) == (409, "idempotency_in_progress")
        assert early.error["retryable"]
        assert int(early.headers["Retry-After"]) > 0
        assert_replayed(await first, await send(gateway, customer, model, KEY, **kind))
        assert early.error["message"].count(first.result().generation_id) == 1
        assert assert_settled(customer, START) == COST

    async def test_the_same_key_at_once_runs_once(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
    ) -> None:
        # The others have to come while it is under way, on a machine that is busy with other things too.
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=2500")
        answers = await asyncio.gather(*(send(gateway, customer, model, KEY) for _ in range(20)))
        assert sorted(answer.status for answer in answers) == [200] + [409] * 19
        assert len(simulator.requests(model.upstream_model)) == 1
        assert assert_settled(customer, START) == COST

    async def test_a_key_belongs_to_one_api_key(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        model = make_model("prompt_tokens=10")
        for customer in (tenant(), tenant()):
            answer = await send(gateway, customer, model, KEY)
            assert answer.status == 200
            assert "Idempotent-Replayed" not in answer.headers
            assert assert_settled(customer, START) == COST

    @KINDS
    async def test_a_request_that_failed_frees_its_key(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, kind: dict[str, Any]
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,status=500,fail_times=1")
        assert (await send(gateway, customer, model, KEY, **kind)).status == 502
        answer = await send(gateway, customer, model, KEY, **kind)
        assert answer.status == 200
        assert_replayed(answer, await send(gateway, customer, model, KEY, **kind))
        assert assert_settled(customer, START) == COST

    async def test_a_refused_request_frees_its_key(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer, model = tenant(credit_nanos=0), make_model("prompt_tokens=10")
        assert (await send(gateway, customer, model, KEY)).status == 402
        customer.credit(START)
        assert (await send(gateway, customer, model, KEY)).status == 200
        assert assert_settled(customer, START) == COST

    async def test_a_stream_that_broke_is_given_again_as_it_broke(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer = tenant()
        model = make_model("prompt_tokens=10,tokens=9,cut=mid_stream,at=5", providers=("featherless",))
        first = await send(gateway, customer, model, KEY, **STREAM)
        assert first.chunks[-1]["error"]["code"] == "stream_interrupted"
        assert_replayed(first, await send(gateway, customer, model, KEY, **STREAM))
        assert assert_settled(customer, START) == usage_line(customer, first.generation_id)["cost_nanos"]

    async def test_an_answer_that_is_too_large_is_not_kept_and_not_charged_again(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer = tenant()
        model = make_model("prompt_tokens=10,tokens=50000", max_output_tokens=60_000)
        first = await send(gateway, customer, model, KEY, **STREAM)
        assert first.payloads[-1] == "[DONE]"
        again = await send(gateway, customer, model, KEY, **STREAM)
        assert (again.status, again.error["code"]) == (409, "answer_not_stored")
        assert first.generation_id in again.error["message"]
        assert not again.error["retryable"]
        assert assert_settled(customer, START) == 10 * 1_000 + 50_000 * 2_000

    async def test_what_a_test_key_is_answered_for_nothing_is_kept_only_while_it_is_small(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer, model = tenant(environment="test", credit_nanos=0), make_model()
        small = await send(gateway, customer, model, KEY)
        assert_replayed(small, await send(gateway, customer, model, KEY))
        name = secrets.token_urlsafe(20_000)
        parameters = {"type": "object", "required": [name], "properties": {name: {"type": "string"}}}
        tools = [{"type": "function", "function": {"name": "f", "parameters": parameters}}]
        other = {"Idempotency-Key": "large"}
        large = await send(gateway, customer, model, other, tools=tools, tool_choice="required")
        assert len(large.raw) > 20_000
        again = await send(gateway, customer, model, other, tools=tools, tool_choice="required")
        assert again.error["code"] == "answer_not_stored"

    @pytest.mark.parametrize("headers", [KEY, FIRST_TRY], ids=["key", "sdk"])
    async def test_an_account_without_retention_is_told_the_generation_instead(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, headers: dict[str, str]
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        execute(customer, "update gateway.accounts set is_zero_retention = true where id = %s")
        first = await send(gateway, customer, model, headers)
        again = await send(gateway, customer, model, KEY if headers is KEY else SECOND_TRY)
        assert (again.status, again.error["code"]) == (409, "answer_not_stored")
        assert first.generation_id in again.error["message"]
        assert assert_settled(customer, START) == COST

    async def test_keys_and_answers_outlive_a_rotation_of_our_secret(
        self,
        *,
        stack: LocalStack,
        gateway: RunningGateway,
        start_gateway: Gateways,
        tenant: Tenants,
        make_model: Models,
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        first = await send(gateway, customer, model, KEY)
        rotated = start_gateway(SECRET_KEY="n" * 40 + "," + stack.credentials.gateway_secret)
        assert_replayed(first, await send(rotated, customer, model, KEY))
        assert assert_settled(customer, START) == COST

    async def test_an_answer_sealed_under_a_secret_that_is_gone_is_not_charged_again(
        self,
        *,
        stack: LocalStack,
        gateway: RunningGateway,
        start_gateway: Gateways,
        tenant: Tenants,
        make_model: Models,
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        await send(gateway, customer, model, KEY)
        execute(customer, "update gateway.replays set answer = 'gAAAA' where account_id = %s")
        again = await send(gateway, customer, model, KEY)
        assert (again.status, again.error["code"]) == (409, "answer_not_stored")
        assert assert_settled(customer, START) == COST

    @pytest.mark.parametrize("key", ["", " ", "with space", "k" * 256, "schlüssel"])
    async def test_a_key_that_cannot_be_one_is_refused_before_anything_is_held(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, key: str
    ) -> None:
        customer = tenant()
        answer = await send(gateway, customer, make_model(), {"Idempotency-Key": key})
        assert (answer.status, answer.error["code"]) == (400, "invalid_request")
        assert answer.error["param"] == "Idempotency-Key"
        assert customer.books.holds() == []

    async def test_a_request_whose_process_died_runs_again_and_the_first_is_never_charged(
        self,
        *,
        start_gateway: Gateways,
        gateway: RunningGateway,
        tenant: Tenants,
        make_model: Models,
        simulator: Simulator,
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=500")
        doomed = start_gateway()
        dying = asyncio.create_task(send(doomed, customer, model, KEY))
        await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
        doomed.kill()
        with pytest.raises(aiohttp.ClientError):
            await dying
        assert (await send(gateway, customer, model, KEY)).error["code"] == "idempotency_in_progress"
        customer.books.end_holds()
        answer = await send(gateway, customer, model, KEY)
        assert answer.status == 200
        assert_replayed(answer, await send(gateway, customer, model, KEY))
        assert assert_settled(customer, START) == COST
