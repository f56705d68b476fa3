"""Requests with a session that come again: their own answer, whatever has become of the session, and no other's."""

import asyncio
import json
from typing import Any

import pytest

from tests.functions.chat.asked_again import FIRST_TRY, KEY, SECOND_TRY, START, assert_replayed
from tests.functions.chat.books import assert_settled
from tests.functions.chat.client import Answer
from tests.functions.chat.raw_provider import RawProvider
from tests.functions.chat.sessions import EACH, Session, begin_session, fill, question, upstream_messages, user
from tests.functions.chat.speakers import CHAT, STREAMED, Speaker
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Models, Tenants, TestModel

TRIES = pytest.mark.parametrize("headers", [(KEY, KEY), (FIRST_TRY, SECOND_TRY)], ids=["key", "SDK"])
FAILURE = b"HTTP/1.1 500 Oops\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{}"
COST = 10 * 1_000 + 4 * 2_000


def whole(text: str) -> bytes:
    """Return a provider's whole answer."""
    choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}
    usage = {"prompt_tokens": 10, "completion_tokens": 3, "total_tokens": 13}
    body = {"id": "raw", "object": "chat.completion", "created": 1, "model": "raw", "choices": [choice], "usage": usage}
    head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    return head + json.dumps(body).encode()


@EACH
@STREAMED
@TRIES
async def test_who_paid_gets_his_answer_again_when_the_session_is_gone(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    *,
    speaker: Speaker,
    is_stream: bool,
    headers: tuple[dict[str, str], dict[str, str]],
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=4,prompt_tokens=10")
    asked: dict[str, Any] = {"session_id": session.id, "stream": is_stream}
    first = await speaker.ask(gateway, session.tenant, model, headers=headers[0], **asked)
    assert (await session.owner.call("DELETE", f"/v1/chat/sessions/{session.id}")).status == 204
    again = await speaker.ask(gateway, session.tenant, model, headers=headers[1], **asked)
    assert_replayed(first, again)
    other = await speaker.ask(gateway, session.tenant, model, headers={"Idempotency-Key": "new"}, **asked)
    assert (other.status, other.error["code"]) == (404, "session_not_found")
    assert assert_settled(session.tenant, START) == COST


@EACH
@TRIES
async def test_who_paid_for_the_last_turn_that_fits_gets_its_answer_again(
    gateway: RunningGateway,
    tenant: Tenants,
    make_model: Models,
    speaker: Speaker,
    headers: tuple[dict[str, str], dict[str, str]],
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=4,prompt_tokens=10")
    fill(session, 9_998)
    asked: dict[str, Any] = {"session_id": session.id, **question(speaker, "hi")}
    first = await speaker.ask(gateway, session.tenant, model, headers=headers[0], **asked)
    assert session.count() == 10_000
    again = await speaker.ask(gateway, session.tenant, model, headers=headers[1], **asked)
    assert_replayed(first, again)
    assert assert_settled(session.tenant, START) == COST


async def _continue(gateway: RunningGateway, session: Session, model: TestModel, headers: dict[str, str]) -> Answer:
    return await CHAT.ask(
        gateway, session.tenant, model, headers=headers, session_id=session.id, messages=user("continue")
    )


async def test_the_same_words_later_are_a_turn_of_their_own_and_so_is_their_retry(
    odd_gateway: RunningGateway, raw_provider: RawProvider, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(odd_gateway, tenant()), make_model(providers=("portkey",))
    for answers, headers, status, text in (
        (whole("part one"), FIRST_TRY, 200, "part one"),
        (FAILURE, FIRST_TRY, 502, None),
        (whole("part two"), SECOND_TRY, 200, "part two"),
        (whole("part three"), SECOND_TRY, 200, "part two"),
    ):
        raw_provider.answers(model.upstream_model, answers)
        answer = await _continue(odd_gateway, session, model, headers)
        assert answer.status == status, answer.raw
        if text is not None:
            assert answer.json["choices"][0]["message"]["content"] == text
    assert [text for _, text in session.said()] == ["continue", "part one", "continue", "part two"]
    assert len(upstream_messages(raw_provider, model)) == 3


async def test_a_first_try_leaves_the_claim_of_one_that_is_still_under_way(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=3,first_byte_ms=800")
    first, second = [asyncio.create_task(_continue(gateway, session, model, FIRST_TRY)) for _ in range(2)]
    await asyncio.sleep(0.3)
    retries = await asyncio.gather(*(_continue(gateway, session, model, SECOND_TRY) for _ in range(2)))
    assert {answer.generation_id for answer in retries} == {(await each).generation_id for each in (first, second)}
    assert session.count() == 4


async def test_first_turns_that_end_at_once_leave_one_set_of_instructions(
    gateway: RunningGateway, tenant: Tenants, make_model: Models
) -> None:
    session, model = await begin_session(gateway, tenant()), make_model("tokens=2,first_byte_ms=300")
    asked: dict[str, Any] = {"session_id": session.id}
    await asyncio.gather(*(CHAT.ask(gateway, session.tenant, model, **asked) for _ in range(3)))
    assert [role for role, _ in session.said()] == ["system", *["user", "assistant"] * 3]
