"""One engine, three dialects: the same is charged, kept, and ended."""

import asyncio
from typing import Any

import aiohttp
import pytest

from shared.core.money import NANOS_PER_DOLLAR
from tests.functions.chat.asked_again import FIRST_TRY, KEY, SECOND_TRY, assert_replayed
from tests.functions.chat.books import assert_settled, usage_line, wait_until_settled
from tests.functions.chat.client import TIMEOUT, post, words
from tests.functions.chat.speakers import CHAT, EACH, MESSAGES, RESPONSES, SPEAKERS, STREAMED, TRANSLATED, Speaker
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

START = 10 * NANOS_PER_DOLLAR


@EACH
@STREAMED
@pytest.mark.parametrize(
    "script",
    [
        "tokens=20,prompt_tokens=10",
        "tokens=0",
        "tokens=90",
        "tokens=12,wide=1,split=1",
        "tokens=12,multiline=1,crlf=1,split=5,comments=2",
        "tokens=12,usage=missing",
        "tokens=12,usage=in_last_chunk",
        "tokens=12,reasoning_tokens=7",
        "tokens=5,no_done=1",
    ],
)
async def test_every_answer_is_grammatical_and_tells_what_was_charged(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    speaker: Speaker,
    is_stream: bool,
    script: str,
) -> None:
    customer, model = tenant(), make_model(script, providers=("featherless",))
    answer = await speaker.ask(gateway, customer, model, stream=is_stream)
    said = speaker.read(answer, is_stream=is_stream)
    line = usage_line(customer, answer.generation_id)
    assert said.tokens == (line["input_tokens"], line["output_tokens"])
    assert round(said.cost * NANOS_PER_DOLLAR) == line["cost_nanos"] == assert_settled(customer, START)
    assert said.has_ended_by_itself == ("tokens=90" not in script)
    assert answer.headers["X-Provider"] == "featherless"


@STREAMED
async def test_parallel_calls_are_the_same_in_every_dialect(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, is_stream: bool
) -> None:
    model = make_model("tool_calls=2", providers=("portkey",))
    told = []
    for speaker in SPEAKERS:
        answer = await speaker.ask(gateway, tenant(), model, has_tools=True, stream=is_stream)
        said = speaker.read(answer, is_stream=is_stream)
        assert len({call_id for call_id, _, _ in said.calls}) == 2
        told.append([(name, arguments) for _, name, arguments in said.calls])
    assert told == [told[0]] * 3
    assert told[0][0][0] == "get_weather"


@EACH
@pytest.mark.parametrize(
    ("script", "code"),
    [
        ("tokens=9,at=3,cut=mid_stream", "stream_interrupted"),
        ("tokens=9,at=3,cut=clean", "stream_interrupted"),
        ("tokens=9,at=3,error_event=1", "provider_unavailable"),
        ("tokens=9,at=3,garbage=1", "stream_interrupted"),
    ],
)
async def test_a_stream_that_breaks_ends_with_the_dialect_s_error_and_is_charged(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    speaker: Speaker,
    script: str,
    code: str,
) -> None:
    customer = tenant()
    answer = await speaker.ask(gateway, customer, make_model(script, providers=("featherless",)), stream=True)
    failure = speaker.read_failed(answer)
    assert "secret-provider-detail" not in answer.raw.decode()
    assert failure["code"] == code, failure
    line = usage_line(customer, answer.generation_id)
    assert line["outcome"] == "interrupted"
    assert assert_settled(customer, START) == line["cost_nanos"] > 0


@EACH
@STREAMED
async def test_the_same_key_gets_the_same_bytes_and_pays_once(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    simulator: Simulator,
    speaker: Speaker,
    is_stream: bool,
) -> None:
    customer, model = tenant(), make_model("prompt_tokens=10")
    first = await speaker.ask(gateway, customer, model, headers=KEY, stream=is_stream)
    speaker.read(first, is_stream=is_stream)
    assert_replayed(first, await speaker.ask(gateway, customer, model, headers=KEY, stream=is_stream))
    assert len(simulator.requests(model.upstream_model)) == 1
    assert assert_settled(customer, START) == 10 * 1_000 + 8 * 2_000


@pytest.mark.parametrize("speakers", [(CHAT, MESSAGES), (MESSAGES, CHAT)], ids=["chat first", "messages first"])
async def test_a_key_that_was_used_in_another_dialect_is_refused_though_the_bytes_are_the_same(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speakers: tuple[Speaker, Speaker]
) -> None:
    customer, model = tenant(), make_model()
    body = {"model": model.id, "max_tokens": 60, "messages": [{"role": "user", "content": "Say something."}]}
    first, other, again = [
        await post(gateway.url, body, customer.headers | KEY, speaker.path) for speaker in (*speakers, speakers[0])
    ]
    assert first.status == 200
    assert (other.status, other.error["code"]) == (409, "idempotency_key_reused")
    assert_replayed(first, again)


@EACH
async def test_an_sdk_s_own_retry_gets_the_first_answer(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator, speaker: Speaker
) -> None:
    customer, model = tenant(), make_model("prompt_tokens=10,first_byte_ms=500")
    first = asyncio.create_task(speaker.ask(gateway, customer, model, headers=FIRST_TRY, stream=True))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    again = await speaker.ask(gateway, customer, model, headers=SECOND_TRY, stream=True)
    assert_replayed(await first, again)
    assert len(simulator.requests(model.upstream_model)) == 1


@EACH
@pytest.mark.parametrize("provider", ["openrouter", "featherless"])
async def test_who_hangs_up_pays_what_the_provider_charges(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    simulator: Simulator,
    speaker: Speaker,
    provider: str,
) -> None:
    customer = tenant()
    model = make_model("tokens=50,prompt_tokens=10,pace_ms=60", providers=(provider,))
    body = speaker.body(model, stream=True)
    async with (
        aiohttp.ClientSession(headers=customer.headers, timeout=TIMEOUT) as session,
        session.post(gateway.url + speaker.path, json=body) as response,
    ):
        await response.content.readexactly(1500)
        response.close()
    line = await asyncio.to_thread(wait_until_settled, customer, 8)
    (served,) = simulator.requests(model.upstream_model)
    is_stopped = provider == "openrouter"
    assert line["outcome"] == ("abandoned" if is_stopped else "completed")
    assert line["output_tokens"] == served["completion_tokens"]
    assert (line["output_tokens"] < 50) is is_stopped
    assert assert_settled(customer, START) == 10 * 1_000 + line["output_tokens"] * 2_000


@TRANSLATED
async def test_while_a_provider_is_silent_its_dialect_s_ping_comes_before_and_within_the_answer(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    model = make_model("tokens=2,first_byte_ms=5600,pace_ms=5600", providers=("featherless",))
    answer = await speaker.ask(gateway, tenant(), model, stream=True)
    ping = b": ping\n" if speaker is RESPONSES else b'event: ping\ndata: {"type":"ping"}\n\n'
    assert answer.raw.startswith(ping)
    begun, _, ended = answer.raw.partition(b"tok0")
    within, _, _ = ended.partition(b"tok1")
    assert begun.count(ping) == 1
    assert within.count(ping) == 1
    assert speaker.read(answer, is_stream=True).text == words(2)


@EACH
async def test_a_hold_grows_with_a_stream_that_nobody_bounded_where_the_dialect_lets_it(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    customer, model = tenant(), make_model("tokens=6000", providers=("featherless",))
    unbounded: dict[str, Any] = {"max_tokens": None} if speaker.name == "chat" else {"max_output_tokens": None}
    if speaker is MESSAGES:
        unbounded = {"max_tokens": 6000}
    answer = await speaker.ask(gateway, customer, model, stream=True, **unbounded)
    said = speaker.read(answer, is_stream=True)
    assert said.text == words(6000)
    assert round(said.cost * NANOS_PER_DOLLAR) == assert_settled(customer, START)
