"""What a request may name of stored responses: as much as can be opened at once, each item once, and nothing else."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from shared.keys.format import generate_secret
from tests.functions.chat.asked_again import FIRST_TRY, KEY, SECOND_TRY, START, assert_replayed
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import TIMEOUT
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.functions.chat.speakers import RESPONSES, STREAMED
from tests.functions.chat.test_stored_responses import call, respond, rows
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, PlanLimits, Tenants

READ_SIZES = "select size_bytes, octet_length(content) from gateway.stored_responses where account_id = %s order by 1"
# Packs a hundredfold, and takes a hundred times as much again once it is read.
JUNK = [{"a": 0}] * 60_000
LARGE_IMAGE = {"type": "input_image", "image_url": "data:image/png;base64," + "A" * 3_900_000}
RICH = 1_000 * NANOS_PER_DOLLAR
USAGE = b'data: {"id":"raw","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}\n\n'
SAID = STREAM_HEAD + chunk("tok0") + chunk("", "stop") + USAGE + b"data: [DONE]\n\n"
LONGEST_STALL_S = 1.0


def user_says(text: str, **fields: Any) -> dict[str, Any]:
    return {"role": "user", "content": text, **fields}


def reference(item_id: str) -> dict[str, str]:
    return {"type": "item_reference", "id": item_id}


@asynccontextmanager
async def longest_stall_s(gateway: RunningGateway) -> AsyncIterator[list[float]]:
    """Ask again and again whether the gateway is up; what took longest stands in the list."""
    longest = [0.0]

    async def watch() -> None:
        async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
            while True:
                asked_s = time.monotonic()
                async with session.get(f"{gateway.url}/healthz") as response:
                    await response.read()
                longest[0] = max(longest[0], time.monotonic() - asked_s)
                await asyncio.sleep(0.02)

    watching = asyncio.create_task(watch())
    try:
        yield longest
    finally:
        watching.cancel()


async def test_what_is_not_said_to_a_model_is_not_stored(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model("tokens=1")
    said = {"type": "output_text", "text": "a", "annotations": JUNK, "logprobs": JUNK}
    thought = {"type": "reasoning_text", "text": "b", "signed": JUNK}
    await respond(
        gateway,
        customer,
        model,
        input=[
            {"type": "reasoning", "summary": [], "content": [thought]},
            {"role": "assistant", "content": [said], "status": "completed"},
            user_says("c"),
        ],
    )
    ((size_bytes, _),) = rows(customer, READ_SIZES)
    assert size_bytes < 3_000


async def test_a_test_key_stores_little_however_well_it_packs(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(environment="test", credit_nanos=0), make_model("tokens=4")
    tool = {"type": "function", "name": "f", "parameters": {"enum": JUNK}}
    await respond(gateway, customer, model, input="short")
    await respond(gateway, customer, model, input="x" * 100_000)
    await respond(gateway, customer, model, tools=[tool])
    assert len(rows(customer, READ_SIZES)) == 1


async def test_a_conversation_is_opened_up_to_sixteen_mebibytes_and_holds_nobody_up(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    customer = tenant(credit_nanos=RICH)
    model = make_model("tokens=1", image_input_tokens=100)
    last: dict[str, Any] = {}
    item_ids = []
    for _ in range(5):
        answer = await RESPONSES.ask(
            gateway, customer, model, input=[{"role": "user", "content": [LARGE_IMAGE]}], **last
        )
        assert answer.status == 200, answer.raw[:300]
        last = {"previous_response_id": answer.json["id"]}
        item_ids.append(answer.json["output"][0]["id"])
    assert all(sealed < size / 50 for size, sealed in rows(customer, READ_SIZES))
    refused = await RESPONSES.ask(gateway, customer, model, **last)
    assert (refused.status, refused.error["code"]) == (400, "conversation_too_large")
    for count, status in ((4, 200), (5, 400)):
        async with longest_stall_s(gateway) as longest:
            named = await RESPONSES.ask(gateway, customer, model, input=[reference(each) for each in item_ids[:count]])
        assert named.status == status
        assert longest[0] < LONGEST_STALL_S


async def test_an_item_is_said_once_however_often_it_is_referred_to(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    customer, model = tenant(), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, SAID)
    first = await RESPONSES.ask(
        odd_gateway, customer, model, stream=True, input=[user_says("first words", id="mine_1")]
    )
    response_id = "resp_" + first.generation_id.removeprefix("gen_")
    again = reference(f"msg_{first.generation_id.removeprefix('gen_')}_0")
    turns: list[tuple[dict[str, Any], list[Any]]] = [
        ({}, [again, again, user_says("So?")]),
        ({"previous_response_id": response_id}, [again, reference("mine_1"), user_says("So?"), again]),
    ]
    for last, body in turns:
        answer = await RESPONSES.ask(odd_gateway, customer, model, stream=True, input=body, **last)
        RESPONSES.read(answer, is_stream=True)
        asked = raw_provider.requests(model.upstream_model)[-1].decode()
        assert asked.count("tok0") == 1
        assert asked.count("first words") == len(last)


@pytest.mark.parametrize("item_id", [[1], {"a": 1}, 7, ""])
async def test_an_item_s_id_is_a_text(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, item_id: object
) -> None:
    customer = tenant()
    answer = await RESPONSES.ask(gateway, customer, make_model(), input=[user_says("a"), user_says("b", id=item_id)])
    assert (answer.status, answer.error["param"]) == (400, "input[1].id")
    assert rows(customer, READ_SIZES) == []


@STREAMED
@pytest.mark.parametrize("is_referred_to", [False, True], ids=["continued", "referred to"])
@pytest.mark.parametrize("headers", [(KEY, KEY), (FIRST_TRY, SECOND_TRY)], ids=["key", "SDK"])
async def test_who_paid_gets_his_answer_again_when_what_it_continued_is_gone(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    is_stream: bool,
    is_referred_to: bool,
    headers: tuple[dict[str, str], dict[str, str]],
) -> None:
    customer, model = tenant(), make_model("tokens=4,prompt_tokens=10")
    first = await respond(gateway, customer, model)
    fields: dict[str, Any] = {"stream": is_stream, "previous_response_id": first["id"]}
    if is_referred_to:
        fields = {"stream": is_stream, "input": [reference(first["output"][0]["id"]), user_says("So?")]}
    second = await RESPONSES.ask(gateway, customer, model, headers=headers[0], **fields)
    RESPONSES.read(second, is_stream=is_stream)
    assert (await call(gateway, customer, "DELETE", first["id"])).status == 200
    again = await RESPONSES.ask(gateway, customer, model, headers=headers[1], **fields)
    assert_replayed(second, again)
    # Another request, and another body under the same key, are told what is missing or wrong.
    refused = await RESPONSES.ask(gateway, customer, model, headers={"Idempotency-Key": "new"}, **fields)
    assert refused.status == 400
    if headers[0] == KEY:
        other = await RESPONSES.ask(gateway, customer, model, headers=KEY, **fields, temperature=0.7)
        assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert assert_settled(customer, START) == 2 * (10 * 1_000 + 4 * 2_000)


AGAIN = pytest.mark.parametrize("headers", [KEY, SECOND_TRY], ids=["key", "SDK"])
UNKNOWN = "resp_" + "0" * 32


@AGAIN
async def test_a_retry_that_names_what_is_not_there_passes_the_limiter_as_any_other(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, headers: dict[str, str]
) -> None:
    customer, model = tenant(limits=PlanLimits(requests_per_minute=2)), make_model()
    asked: dict[str, Any] = {"headers": headers, "previous_response_id": UNKNOWN}
    answers = [await RESPONSES.ask(gateway, customer, model, **asked) for _ in range(6)]
    limited = [answer for answer in answers if answer.status == 429]
    assert {answer.status for answer in answers} == {400, 429}
    assert len(limited) >= 3


@AGAIN
async def test_a_stranger_s_retry_is_turned_away(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, headers: dict[str, str]
) -> None:
    stranger, model = replace(tenant(), api_key=generate_secret("live")), make_model()
    for _ in range(2):
        answer = await RESPONSES.ask(gateway, stranger, model, headers=headers, previous_response_id=UNKNOWN)
        assert (answer.status, answer.error["code"]) == (401, "invalid_api_key")


@AGAIN
async def test_what_is_no_response_s_id_is_refused_without_asking_who_wants_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, headers: dict[str, str]
) -> None:
    stranger, model = replace(tenant(), api_key=generate_secret("live")), make_model()
    answer = await RESPONSES.ask(gateway, stranger, model, headers=headers, previous_response_id="nope")
    assert (answer.status, answer.error["code"]) == (400, "previous_response_not_found")
