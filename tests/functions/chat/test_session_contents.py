"""What of a turn is stored in its session, and what of the session stands before a request."""

from typing import Any

import pytest

from tests.functions.chat.asked_again import START
from tests.functions.chat.books import assert_settled
from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.functions.chat.sessions import (
    EACH,
    SAID,
    USAGE,
    begin_session,
    converse,
    fill,
    question,
    upstream_messages,
    user,
)
from tests.functions.chat.speakers import CHAT, RESPONSES, STREAMED, Speaker
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw0KGgo="}}


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


async def test_who_continues_a_session_s_response_has_that_turn_alone(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    raw_provider.answers(model.upstream_model, SAID)
    for text in ("one", "two"):
        said = question(RESPONSES, text)
        answer = await RESPONSES.ask(odd_gateway, session.tenant, model, stream=True, session_id=session.id, **said)
    last: dict[str, Any] = {"previous_response_id": "resp_" + answer.generation_id.removeprefix("gen_")}
    await RESPONSES.ask(odd_gateway, session.tenant, model, stream=True, **last, **question(RESPONSES, "three"))
    sent = upstream_messages(raw_provider, model)
    assert [message["content"] for message in sent] == ["two", "fine", "three"]
    assert [text for _, text in session.said()] == ["one", "fine", "two", "fine"]


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
    fill(session, 9_999)
    answer = await speaker.ask(gateway, session.tenant, model, session_id=session.id, **question(speaker, "more?"))
    assert (answer.status, answer.error["code"], answer.error["param"]) == (409, "session_full", "session_id")
    assert assert_settled(session.tenant, START) == 0


async def test_a_message_that_is_too_large_is_refused_before_anything_is_paid(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2", context_length=1_000_000)
    large = "x" * 262_144
    for messages in (user(large), [{"role": "system", "content": large}, *user("hi")]):
        answer = await CHAT.ask(gateway, session.tenant, model, session_id=session.id, messages=messages)
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
    # Of a thousand tokens the answer has a hundred, the request about as many, and a turn about a hundred and fifty.
    assert 7 < len(sent) < 16
    assert sent[0]["content"].startswith("question")
    assert [message["content"] for message in sent[-2:]] == ["answer 19", "and?"]


async def test_a_session_leaves_a_model_that_reasons_the_room_that_its_answer_may_take(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session = await begin_session(odd_gateway, tenant())
    model = make_model(
        providers=("portkey",), context_length=20_000, max_output_tokens=16_384, supported_parameters=("reasoning",)
    )
    raw_provider.answers(model.upstream_model, SAID)
    for number in range(16):
        await session.say(f"question {number} " + "x " * 800)
        await session.say(f"answer {number}", "assistant")
    stored = {message["content"]: tokens for message, _, tokens, _ in session.rows()}
    await converse(odd_gateway, session, model, stream=True, messages=user("and?"), max_tokens=None)
    sent = upstream_messages(raw_provider, model)
    assert len(sent) > 2
    assert sum(stored[message["content"]] for message in sent[:-1]) + 16_384 < 20_000
