"""What comes again after a hang-up, or of an SDK's own accord."""

import asyncio
import json
from typing import Any

import psycopg
import pytest

from tests.functions.chat.asked_again import (
    COST,
    FIRST_TRY,
    KEY,
    KINDS,
    SECOND_TRY,
    START,
    STREAM,
    assert_replayed,
    send,
    send_and_leave,
)
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.functions.chat.client import ask
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants


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
