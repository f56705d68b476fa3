"""Requests with a session: its turns come first, their own turn is stored once, and only when it came to its end."""

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.functions.chat.asked_again import KEY, START, assert_replayed, send_and_leave
from tests.functions.chat.books import assert_settled, wait_until_settled
from tests.functions.chat.client import words
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.functions.chat.sessions import (
    KEEP_NOTHING,
    SESSION_SPEAKERS,
    begin_session,
    converse,
    question,
    upstream_messages,
    user,
)
from tests.functions.chat.speakers import CHAT, PROMPT, RESPONSES, STREAMED, SYSTEM, Speaker
from tests.functions.keys.client import run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.simulator import Simulator
from tests.harness.tenants import Models, Tenants

EACH = pytest.mark.parametrize("speaker", SESSION_SPEAKERS, ids=lambda speaker: speaker.name)
USAGE = b'data: {"id":"raw","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}\n\n'
SAID = STREAM_HEAD + chunk("fine") + chunk("", "stop") + USAGE + b"data: [DONE]\n\n"
# A call that nobody could answer.
NAMELESS = (
    b'{"id":"raw","object":"chat.completion","created":1,"model":"raw","choices":[{"index":0,"finish_reason":"tool_calls",'
    b'"message":{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"",'
    b'"arguments":"{}"}}]}}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}'
)
NAMELESS_CALL = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + NAMELESS
# Beside the settlement, which may be over a little earlier.
STORED_WITHIN_S = 0.5
FILL = """
    with filled as (
        insert into gateway.chat_messages (account_id, session_id, position, message, tokens)
        select %s, %s, place, '{"role": "user", "content": "x"}', 5 from generate_series(1, 9999) as place
     returning session_id)
    select count(*) from filled
"""
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


@EACH
@STREAMED
async def test_a_turn_is_stored_with_what_its_provider_counted(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker, is_stream: bool
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=4,prompt_tokens=10")
    said = await converse(gateway, session, model, speaker, stream=is_stream)
    assert said.text == words(4)
    assert session.said() == [("system", SYSTEM), ("user", PROMPT), ("assistant", words(4))]
    assert [tokens for _, _, tokens, _ in session.rows()][-1] == 4
    assert {model_id for _, model_id, _, _ in session.rows()} == {model.id}
    assert len({generation_id for *_, generation_id in session.rows()}) == 1
    assert assert_settled(session.tenant, START) == 10 * 1_000 + 4 * 2_000


@EACH
async def test_the_stored_turns_come_before_the_new_messages(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, SAID)
    for turn in range(3):
        await converse(odd_gateway, session, model, speaker, stream=True, **question(speaker, f"turn {turn}"))
    expected = []
    for turn in range(3):
        expected += [("user", f"turn {turn}"), ("assistant", "fine")]
    sent = upstream_messages(raw_provider, model)
    assert [(message["role"], message["content"]) for message in sent] == expected[:-1]
    assert session.said() == expected


async def test_what_each_dialect_leaves_the_other_goes_on_with(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, SAID)
    for turn, speaker in enumerate((CHAT, RESPONSES, CHAT)):
        await converse(odd_gateway, session, model, speaker, stream=True, **question(speaker, f"turn {turn}"))
    sent = upstream_messages(raw_provider, model)
    assert [message["content"] for message in sent] == ["turn 0", "fine", "turn 1", "fine", "turn 2"]


@EACH
async def test_a_request_s_own_instructions_stand_for_the_stored_ones_and_are_stored_once(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, SAID)
    await session.say("be kind", "system")
    await converse(odd_gateway, session, model, speaker, stream=True, **question(speaker, "one"))
    sent = upstream_messages(raw_provider, model)
    assert [message["content"] for message in sent] == ["be kind", "one"]
    await converse(odd_gateway, session, model, speaker, stream=True)
    sent = upstream_messages(raw_provider, model)
    assert [message["content"] for message in sent] == [SYSTEM, "one", "fine", PROMPT]
    assert [said for _, said in session.said()] == ["be kind", "one", "fine", PROMPT, "fine"]


async def test_a_session_is_named_by_the_body_the_query_or_a_header(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2")
    other = await begin_session(gateway, session.tenant)
    body: dict[str, Any] = {"model": model.id, "messages": user("hi")}
    ways: list[tuple[str, dict[str, str], dict[str, Any]]] = [
        ("", {}, {"session_id": session.id}),
        (f"?session_id={session.id}", {}, {}),
        ("", {"X-Session-Id": session.id}, {"session_id": None}),
        (f"?session_id={session.id}", {"X-Session-Id": session.id}, {"session_id": session.id}),
    ]
    for turn, (query, sent, named) in enumerate(ways, start=1):
        answer = await session.owner.call("POST", f"/v1/chat/completions{query}", body | named, sent)
        assert answer.status == 200, answer.raw
        assert len(session.said()) == 2 * turn
    for query, sent, named in (
        (f"?session_id={other.id}", {}, {"session_id": session.id}),
        ("", {"X-Session-Id": other.id}, {"session_id": session.id}),
        (f"?session_id={other.id}&session_id={session.id}", {}, {}),
    ):
        answer = await session.owner.call("POST", f"/v1/chat/completions{query}", body | named, sent)
        assert (answer.status, answer.error["param"]) == (400, "session_id")
    assert other.said() == []


@EACH
@pytest.mark.parametrize("named", ["sess_0", "sess_1x", "4711", "", 12, ["sess_1"], "sess_999999999999999999"])
async def test_what_names_no_session_is_not_found_and_costs_nothing(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker, named: Any
) -> None:
    customer = tenant()
    await begin_session(gateway, customer)
    answer = await speaker.ask(gateway, customer, make_model(), session_id=named)
    assert (answer.status, answer.error["code"], answer.error["param"]) == (404, "session_not_found", "session_id")
    assert assert_settled(customer, START) == 0


@EACH
async def test_another_account_s_session_answers_like_one_that_never_was(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    session, stranger = await begin_session(gateway, tenant()), await begin_session(gateway, tenant())
    model = make_model()
    answers = [
        await speaker.ask(gateway, stranger.tenant, model, session_id=named)
        for named in (session.id, "sess_999999999999999999")
    ]
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].error["message"] == answers[1].error["message"]
    assert session.said() == []


@EACH
@pytest.mark.parametrize("lacking", ["history:read", "history:write"])
async def test_a_key_that_may_not_read_and_write_history_is_refused(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker, lacking: str
) -> None:
    session = await begin_session(gateway, tenant())
    run_sql(
        session.tenant.database_url,
        "update gateway.api_keys set scopes = array_remove(scopes, %s) where id = %s",
        lacking,
        session.tenant.key_id,
    )
    answer = await speaker.ask(gateway, session.tenant, make_model(), session_id=session.id)
    assert (answer.status, answer.error["code"]) == (403, "missing_scope")
    assert lacking in answer.error["message"]
    assert assert_settled(session.tenant, START) == 0


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


async def test_images_are_shown_to_the_model_once_and_not_kept(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session = await begin_session(odd_gateway, tenant())
    model = make_model(providers=("portkey",), image_input_tokens=100)
    raw_provider.answers(model.upstream_model, SAID)
    text = {"type": "text", "text": "What is it?", "cache_control": {"type": "ephemeral"}}
    linked = {"type": "image_url", "image_url": {"url": "https://images.example/cat.png"}}
    content = [text, IMAGE, linked]
    await converse(odd_gateway, session, model, stream=True, messages=[{"role": "user", "content": content}])
    assert upstream_messages(raw_provider, model)[0]["content"] == content
    (_, stored), _ = session.said()
    assert stored[0] == {"type": "text", "text": "What is it?"}
    assert stored[1]["type"] == "text"
    assert "image" in stored[1]["text"]
    assert stored[2] == linked


@EACH
@STREAMED
async def test_calls_are_kept_for_their_results(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker, is_stream: bool
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tool_calls=2,prompt_tokens=10")
    said = await converse(gateway, session, model, speaker, has_tools=True, stream=is_stream)
    (message, *_) = session.rows()[-1]
    assert [(call["id"], call["function"]["name"]) for call in message["tool_calls"]] == [
        (call_id, name) for call_id, name, _ in said.calls
    ]
    (first, *_), (second, *_) = said.calls
    results: dict[str, Any] = (
        {
            "input": [{"type": "function_call_output", "call_id": one, "output": "warm"} for one in (first, second)],
            "instructions": None,
        }
        if speaker is RESPONSES
        else {"messages": [{"role": "tool", "tool_call_id": one, "content": "warm"} for one in (first, second)]}
    )
    await converse(gateway, session, model, speaker, has_tools=True, stream=is_stream, **results)
    roles = [role for role, _ in session.said()]
    assert roles == ["system", "user", "assistant", "tool", "tool", "assistant"]


async def test_a_call_that_nobody_answered_is_left_out(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    call = (
        b'data: {"id":"raw","model":"raw","created":1,"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":'
        b'"call_1","type":"function","function":{"name":"now","arguments":"{}"}}]},"finish_reason":"tool_calls"}]}\n\n'
    )
    raw_provider.answers(model.upstream_model, STREAM_HEAD + call + USAGE + b"data: [DONE]\n\n")
    await converse(odd_gateway, session, model, stream=True, messages=user("what time is it?"))
    raw_provider.answers(model.upstream_model, SAID)
    await converse(odd_gateway, session, model, stream=True, messages=user("never mind"))
    sent = upstream_messages(raw_provider, model)
    assert [(message["role"], message["content"]) for message in sent] == [
        ("user", "what time is it?"),
        ("user", "never mind"),
    ]


async def test_a_response_is_stored_as_one_and_as_a_turn(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2")
    answer = await RESPONSES.ask(gateway, session.tenant, model, session_id=session.id)
    assert (await session.owner.call("GET", f"/v1/responses/{answer.json['id']}")).status == 200
    assert len(session.said()) == 3
    second = await RESPONSES.ask(gateway, session.tenant, model, session_id=session.id, store=False)
    assert (await session.owner.call("GET", f"/v1/responses/{second.json['id']}")).status == 404
    assert len(session.said()) == 5
    both = {"session_id": session.id, "previous_response_id": answer.json["id"]}
    refused = await RESPONSES.ask(gateway, session.tenant, model, **both)
    assert (refused.status, refused.error["param"]) == (400, "previous_response_id")


async def test_a_message_has_no_session(gateway: RunningGateway, tenant: Tenants, make_model: Models) -> None:
    session, model = await begin_session(gateway, tenant()), make_model()
    body = {"model": model.id, "max_tokens": 9, "messages": user("hi")}
    for query, sent, named in (
        ("", {}, {"session_id": session.id}),
        (f"?session_id={session.id}", {}, {}),
        ("", {"X-Session-Id": session.id}, {}),
    ):
        for path in ("/v1/messages", "/v1/messages/count_tokens"):
            headers = {"anthropic-version": "2023-06-01", **sent}
            asked = body | named if path == "/v1/messages" else {"model": model.id, "messages": user("hi")} | named
            answer = await session.owner.call("POST", path + query, asked, headers)
            assert (answer.status, answer.error["param"]) == (400, "session_id")
            assert "chat completions and responses" in answer.error["message"]
    assert assert_settled(session.tenant, START) == 0


@EACH
async def test_a_session_that_is_full_is_refused_before_anything_is_paid(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, speaker: Speaker
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2")
    run_sql(session.tenant.database_url, FILL, session.tenant.account_id, session.number)
    answer = await speaker.ask(gateway, session.tenant, model, session_id=session.id, **question(speaker, "more?"))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (409, "session_full", "session_id")
    assert assert_settled(session.tenant, START) == 0


async def test_a_message_that_is_too_large_is_refused_before_anything_is_paid(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2", context_length=1_000_000)
    answer = await CHAT.ask(gateway, session.tenant, model, session_id=session.id, messages=user("x" * 262_144))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (413, "message_too_large", "messages")
    many = await CHAT.ask(gateway, session.tenant, model, session_id=session.id, messages=user("x") * 91)
    assert (many.status, many.error["param"]) == (400, "messages")
    assert assert_settled(session.tenant, START) == 0


@pytest.mark.parametrize(
    "message",
    [
        {"role": "function", "name": "f", "content": "x"},
        {"role": "tool", "content": "x"},
        {"role": "tool", "content": "x", "tool_call_id": ["a"]},
        {"role": "assistant", "tool_calls": "x"},
        {"role": "assistant", "tool_calls": [{"function": {}}]},
        {"role": "assistant", "tool_calls": [7]},
    ],
)
async def test_a_message_that_would_spoil_the_session_is_refused(
    gateway: RunningGateway, tenant: Tenants, make_model: Models, message: dict[str, Any]
) -> None:
    session = await begin_session(gateway, tenant())
    answer = await CHAT.ask(gateway, session.tenant, make_model(), session_id=session.id, messages=[message])
    assert (answer.status, answer.error["param"]) == (400, "messages")


async def test_letters_that_no_database_takes_do_not_lose_the_turn(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    said = STREAM_HEAD + chunk("half \\ud83d, null \\u0000") + chunk("", "stop") + USAGE + b"data: [DONE]\n\n"
    raw_provider.answers(model.upstream_model, said)
    text = "half \ud83d, null \x00, written \\u0000"
    await converse(odd_gateway, session, model, stream=True, messages=user(text))
    assert upstream_messages(raw_provider, model)[0]["content"] == text
    assert session.said() == [
        ("user", "half ?, null \ufffd, written \\u0000"),
        ("assistant", "half ?, null \ufffd"),
    ]


async def test_only_what_the_model_takes_stands_before_the_request(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session = await begin_session(odd_gateway, tenant())
    model = make_model(providers=("portkey",), context_length=1_000, max_output_tokens=100)
    raw_provider.answers(model.upstream_model, SAID)
    for number in range(20):
        await session.say(f"question {number} " + "x" * 150)
        await session.say(f"answer {number}", "assistant")
    await converse(odd_gateway, session, model, stream=True, messages=user("and?"))
    sent = upstream_messages(raw_provider, model)
    # Of a thousand tokens the answer has a hundred, the request about as many, and a turn about sixty.
    assert 15 < len(sent) < 30
    assert sent[0]["content"].startswith("question")
    assert [message["content"] for message in sent[-2:]] == ["answer 19", "and?"]
