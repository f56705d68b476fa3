"""Chats that go on in a stored session: which one, who may, and once."""

from typing import Any

import pytest

from tests.functions.chat.asked_again import START
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import words
from tests.functions.chat.raw_provider import RawProvider
from tests.functions.chat.sessions import (
    EACH,
    SAID,
    begin_session,
    converse,
    question,
    upstream_messages,
    user,
)
from tests.functions.chat.speakers import CHAT, PROMPT, RESPONSES, STREAMED, SYSTEM, Speaker
from tests.functions.keys.client import run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants


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
