"""What is left in a session by an answer that was given, broken off, asked again or not to be kept."""

import asyncio
from typing import Any

import aiohttp

from tests.functions.chat.asked_again import KEY, START, assert_replayed, send_and_leave
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.functions.chat.client import words
from tests.functions.chat.raw_provider import RawProvider
from tests.functions.chat.sessions import (
    EACH,
    KEEP_NOTHING,
    SAID,
    begin_session,
    converse,
    question,
    upstream_messages,
    user,
)
from tests.functions.chat.speakers import CHAT, PROMPT, STREAMED, Speaker
from tests.functions.keys.client import run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

# A call that nobody could answer.
NAMELESS = (
    b'{"id":"raw","object":"chat.completion","created":1,"model":"raw","choices":[{"index":0,"finish_reason":"tool_calls",'
    b'"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"",'
    b'"arguments":"{}"}}]}}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}'
)
NAMELESS_CALL = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + NAMELESS
# Beside the settlement, which may be over a little earlier.
STORED_WITHIN_S = 0.5


@EACH
@STREAMED
async def test_a_retry_is_answered_again_and_stores_no_second_turn(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker, is_stream: bool
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=4,prompt_tokens=10")
    asked: dict[str, Any] = {"headers": KEY, "session_id": session.id, "stream": is_stream}
    first, again = [await speaker.ask(gateway, session.tenant, model, **asked) for _ in range(2)]
    assert_replayed(first, again)
    assert len(session.said()) == 3
    assert assert_settled(session.tenant, START) == 10 * 1_000 + 4 * 2_000


async def test_a_key_of_another_session_is_another_request(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2")
    other = await begin_session(gateway, session.tenant)
    body = {"model": model.id, "messages": user("hi")}
    for query, status in ((f"?session_id={session.id}", 200), (f"?session_id={other.id}", 409), ("", 409)):
        answer = await session.owner.call("POST", f"/v1/chat/completions{query}", body, KEY)
        assert answer.status == status, answer.raw
    assert answer.error["code"] == "idempotency_key_reused"
    assert (len(session.said()), other.said()) == (2, [])


async def test_a_retry_that_waits_for_the_first_stores_one_turn(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=3,first_byte_ms=800")
    tries = [
        CHAT.ask(gateway, session.tenant, model, headers={"x-stainless-retry-count": str(count)}, session_id=session.id)
        for count in range(2)
    ]
    first = asyncio.create_task(tries[0])
    await asyncio.sleep(0.3)
    answers = [await tries[1], await first]
    assert [answer.status for answer in answers] == [200, 200]
    assert answers[0].generation_id == answers[1].generation_id
    assert len(session.said()) == 3


async def test_turns_of_one_session_that_end_at_once_do_not_mix(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2")
    questions = [f"question {number}" for number in range(8)]
    await asyncio.gather(*(converse(gateway, session, model, messages=user(text), stream=True) for text in questions))
    said = session.said()
    assert [role for role, _ in said] == ["user", "assistant"] * 8
    assert sorted(text for role, text in said if role == "user") == questions
    assert session.tenant.books.broken_rules() == []


async def test_a_session_that_is_deleted_meanwhile_takes_no_turn(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, simulator: Simulator
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2,gate=deleted,prompt_tokens=10")
    asking = asyncio.create_task(converse(gateway, session, model))
    await asyncio.to_thread(simulator.wait_for, 1, model.upstream_model)
    assert (await session.owner.call("DELETE", f"/v1/chat/sessions/{session.id}")).status == 204
    simulator.open_gate("deleted")
    assert (await asking).text == words(2)
    assert session.said() == []
    assert assert_settled(session.tenant, START) == 10 * 1_000 + 2 * 2_000


async def test_a_test_key_has_sessions_too(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    session = await begin_session(gateway, tenant(environment="test", credit_nanos=0))
    model = make_model("tokens=2")
    for _ in range(2):
        await converse(gateway, session, model, messages=user("hi"))
    assert [role for role, _ in session.said()] == ["user", "assistant"] * 2


async def test_of_several_choices_the_first_is_stored(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2")
    answer = await CHAT.ask(gateway, session.tenant, model, session_id=session.id, n=3)
    assert len(answer.json["choices"]) == 3
    assert session.said()[1:] == [("user", PROMPT), ("assistant", words(2))]


async def test_an_answer_that_no_session_takes_is_delivered(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, NAMELESS_CALL)
    answer = await CHAT.ask(odd_gateway, session.tenant, model, session_id=session.id)
    assert (answer.status, answer.json["choices"][0]["finish_reason"]) == (200, "tool_calls")
    assert session.said() == []
    assert assert_settled(session.tenant, START) == 10 * 1_000 + 3 * 2_000


@EACH
async def test_an_answer_that_broke_leaves_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    session = await begin_session(gateway, tenant())
    model = make_model("tokens=9,at=3,cut=mid_stream", providers=("featherless",))
    speaker.read_failed(await speaker.ask(gateway, session.tenant, model, stream=True, session_id=session.id))
    assert session.said() == []


async def test_an_answer_that_no_provider_gave_leaves_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session = await begin_session(gateway, tenant())
    answer = await CHAT.ask(gateway, session.tenant, make_model("status=500"), session_id=session.id)
    assert answer.status == 502
    assert session.said() == []


async def test_an_answer_that_was_abandoned_leaves_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session = await begin_session(gateway, tenant())
    model = make_model("tokens=200,token_ms=20", providers=("featherless",))
    headers = session.tenant.headers
    body = {"model": model.id, "messages": user("hi"), "stream": True, "session_id": session.id}
    async with (
        aiohttp.ClientSession(headers=headers) as client,
        client.post(f"{gateway.url}/v1/chat/completions", json=body) as response,
    ):
        await response.content.readany()
    wait_until_settled(session.tenant)
    await asyncio.sleep(STORED_WITHIN_S)
    assert session.said() == []


async def test_an_answer_that_is_drained_for_a_retry_is_stored(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=3,first_byte_ms=600")
    await send_and_leave(gateway, session.tenant, model, KEY, after_s=0.2, session_id=session.id)
    wait_until_settled(session.tenant)
    await asyncio.sleep(STORED_WITHIN_S)
    assert [role for role, _ in session.said()] == ["user", "assistant"]


@EACH
async def test_an_account_that_keeps_nothing_stores_nothing_and_still_reads(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, SAID)
    await session.say("before")
    run_sql(session.tenant.database_url, KEEP_NOTHING, session.tenant.account_id)
    await converse(odd_gateway, session, model, speaker, stream=True, **question(speaker, "now"))
    assert [message["content"] for message in upstream_messages(raw_provider, model)] == ["before", "now"]
    assert session.said() == [("user", "before")]
