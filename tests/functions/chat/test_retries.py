import asyncio
import contextlib
import json
import secrets
from typing import Any

import aiohttp
import psycopg
import pytest

from infra.local.stack import LocalStack
from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.books import assert_settled, usage_line, wait_until_settled
from tests.functions.chat.client import HELLO, PATH, Answer, ask, post
from tests.harness.gateways import Gateways, RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, PlanLimits, Tenant, Tenants, TestModel

START = 10 * NANOS_PER_DOLLAR
KEY = {"Idempotency-Key": "order-4711"}
WHOLE: dict[str, Any] = {}
STREAM: dict[str, Any] = {"stream": True, "stream_options": {"include_usage": True}}
KINDS = pytest.mark.parametrize("kind", [WHOLE, STREAM], ids=["whole", "stream"])
FIRST_TRY = {"x-stainless-retry-count": "0"}
SECOND_TRY = {"x-stainless-retry-count": "1"}
COST = 10 * 1_000 + 8 * 2_000


async def send(
    gateway: RunningGateway, tenant: Tenant, model: TestModel, headers: dict[str, str], **fields: Any
) -> Answer:
    body = {"model": model.id, "messages": HELLO, **fields}
    return await post(gateway.url, body, {**tenant.headers, **headers})


async def send_and_leave(
    gateway: RunningGateway,
    tenant: Tenant,
    model: TestModel,
    headers: dict[str, str],
    *,
    after_s: float,
    **fields: Any,
) -> None:
    """Ask, and hang up after a time, whatever has come by then."""
    body = {"model": model.id, "messages": HELLO, **fields}
    async with aiohttp.ClientSession(headers={**tenant.headers, **headers}) as session:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(after_s), session.post(gateway.url + PATH, json=body) as response:
                await response.read()


def assert_replayed(first: Answer, again: Answer) -> None:
    assert again.status == first.status == 200
    assert again.raw == first.raw
    assert again.generation_id == first.generation_id
    assert again.headers["X-Provider"] == first.headers["X-Provider"]
    assert again.headers["Content-Type"] == first.headers["Content-Type"]
    assert again.headers["Idempotent-Replayed"] == "true"
    assert "Idempotent-Replayed" not in first.headers
    assert again.headers["X-Request-Id"] != first.headers["X-Request-Id"]


def execute(tenant: Tenant, statement: str) -> None:
    with psycopg.connect(tenant.database_url, autocommit=True) as session:
        session.execute(statement.encode(), (tenant.account_id,))


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
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=300")
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


class TestHangUps:
    @KINDS
    @pytest.mark.parametrize("provider", ["openrouter", "featherless"])
    async def test_who_left_before_the_answer_gets_it_with_the_same_key(
        self, *, gateway: RunningGateway, tenant: Tenants, make_model: Models, kind: dict[str, Any], provider: str
    ) -> None:
        customer = tenant()
        model = make_model("prompt_tokens=10,first_byte_ms=500", providers=(provider,))
        await send_and_leave(gateway, customer, model, KEY, after_s=0.2, **kind)
        await asyncio.to_thread(wait_until_settled, customer, 6)
        again = await send(gateway, customer, model, KEY, **kind)
        assert again.headers["Idempotent-Replayed"] == "true"
        assert again.text == "tok0 tok1 tok2 tok3 tok4 tok5 tok6 tok7" if kind else again.json["choices"]
        assert assert_settled(customer, START) == COST

    async def test_who_left_in_the_middle_gets_the_whole_answer_with_the_same_key(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,tokens=50,pace_ms=60")
        await send_and_leave(gateway, customer, model, KEY, after_s=2.4, **STREAM)
        await asyncio.to_thread(wait_until_settled, customer, 6)
        again = await send(gateway, customer, model, KEY, **STREAM)
        assert again.payloads[-1] == "[DONE]"
        assert again.text == " ".join(f"tok{index}" for index in range(50))
        assert simulator.requests(model.upstream_model)[0]["finished"]
        assert assert_settled(customer, START) == 10 * 1_000 + 50 * 2_000


class TestSdkRetries:
    @KINDS
    async def test_a_retry_gets_the_first_answer_and_pays_once(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, kind: dict[str, Any]
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        first = await send(gateway, customer, model, FIRST_TRY, **kind)
        assert_replayed(first, await send(gateway, customer, model, SECOND_TRY, **kind))
        assert len(simulator.requests(model.upstream_model)) == 1
        assert assert_settled(customer, START) == COST

    @KINDS
    async def test_a_retry_of_a_request_that_is_under_way_waits_for_its_answer(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, kind: dict[str, Any]
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=1200")
        await send_and_leave(gateway, customer, model, FIRST_TRY, after_s=0.2, **kind)
        again = await send(gateway, customer, model, SECOND_TRY, **kind)
        assert again.status == 200
        assert again.headers["Idempotent-Replayed"] == "true"
        assert len(simulator.requests(model.upstream_model)) == 1
        assert again.generation_id == f"gen_{customer.books.usage_lines()[0].generation_id.replace('-', '')}"
        assert assert_settled(customer, START) == COST

    async def test_a_client_that_waits_for_long_hears_that_we_are_there(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=7000")
        await send_and_leave(gateway, customer, model, FIRST_TRY, after_s=0.2, **STREAM)
        again = await send(gateway, customer, model, SECOND_TRY, **STREAM)
        assert again.raw.startswith(b": ping\n")
        assert again.payloads[-1] == "[DONE]"
        assert assert_settled(customer, START) == COST

    async def test_a_retry_of_a_request_that_failed_while_it_waited_runs_itself(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=800,status=503,fail_times=1")
        await send_and_leave(gateway, customer, model, FIRST_TRY, after_s=0.2)
        again = await send(gateway, customer, model, SECOND_TRY)
        assert again.status == 200
        assert "Idempotent-Replayed" not in again.headers
        assert len(simulator.requests(model.upstream_model)) == 2
        assert assert_settled(customer, START) == COST

    async def test_a_wait_ends_with_the_time_that_a_request_may_take(
        self, short_gateway: RunningGateway, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=4000")
        first = asyncio.create_task(send(gateway, customer, model, FIRST_TRY))
        await asyncio.sleep(0.3)
        again = await send(short_gateway, customer, model, SECOND_TRY)
        assert (again.status, again.error["code"]) == (409, "idempotency_in_progress")
        assert again.error["retryable"]
        assert (await first).status == 200
        assert assert_settled(customer, START) == COST

    async def test_a_retry_whose_first_request_never_came_runs(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        first = await send(gateway, customer, model, SECOND_TRY)
        assert "Idempotent-Replayed" not in first.headers
        assert_replayed(first, await send(gateway, customer, model, {"x-stainless-retry-count": "2"}))
        assert assert_settled(customer, START) == COST

    @pytest.mark.parametrize("sign", [FIRST_TRY, {}, {"x-stainless-retry-count": "many"}])
    async def test_two_like_requests_without_the_sign_of_a_retry_stay_two(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models, sign: dict[str, str]
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        answers = [await send(gateway, customer, model, sign) for _ in range(2)]
        assert answers[0].generation_id != answers[1].generation_id
        assert assert_settled(customer, START) == 2 * COST
        retries = [await send(gateway, customer, model, SECOND_TRY) for _ in range(2)]
        if sign is FIRST_TRY:
            assert {answer.generation_id for answer in retries} == {answer.generation_id for answer in answers}
            assert assert_settled(customer, START) == 2 * COST

    async def test_a_request_without_any_sign_keeps_nothing(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        assert (await ask(gateway, customer, model)).status == 200
        with psycopg.connect(customer.database_url) as session:
            rows = session.execute("select 1 from gateway.replays where account_id = %s", (customer.account_id,))
            assert rows.fetchall() == []

    async def test_what_is_kept_cannot_be_read_in_the_database(
        self, gateway: RunningGateway, tenant: Tenants, make_model: Models
    ) -> None:
        customer, model = tenant(), make_model("prompt_tokens=10")
        answer = await send(gateway, customer, model, {**KEY, **FIRST_TRY})
        with psycopg.connect(customer.database_url) as session:
            (row,) = session.execute(
                "select to_jsonb(replay) from gateway.replays as replay where account_id = %s", (customer.account_id,)
            ).fetchall()
        text = json.dumps(row[0])
        assert row[0]["answer"].startswith("gAAAA")
        for secret in ("tok1", "Say something", KEY["Idempotency-Key"]):
            assert secret not in text
        assert answer.json["choices"][0]["message"]["content"].startswith("tok0")
