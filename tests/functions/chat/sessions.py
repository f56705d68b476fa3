"""Customers who keep their chats in sessions, and what is in one beside the gateway."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from tests.functions.chat.raw_provider import STREAM_HEAD, RawProvider, chunk
from tests.functions.chat.speakers import CHAT, RESPONSES, Said, Speaker
from tests.functions.keys.client import Holder, owner_of, run_sql
from tests.harness.gateways import RunningGateway
from tests.harness.tenants import Tenant, TestModel

SESSION_SPEAKERS = (CHAT, RESPONSES)
EACH = pytest.mark.parametrize("speaker", SESSION_SPEAKERS, ids=lambda speaker: speaker.name)
USAGE = b'data: {"id":"raw","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}\n\n'
SAID = STREAM_HEAD + chunk("fine") + chunk("", "stop") + USAGE + b"data: [DONE]\n\n"
READ_MESSAGES = """
    select message, model_id, tokens, generation_id from gateway.chat_messages where session_id = %s order by position
"""
FILL = """
    insert into gateway.chat_messages (account_id, session_id, position, message, tokens)
    select %s, %s, place, '{"role": "user", "content": "x"}', 5 from generate_series(1, %s) as place
"""
MOVE_END = "update gateway.chat_sessions set last_position = %s where id = %s"
KEEP_NOTHING = "update gateway.accounts set is_zero_retention = true where id = %s"


class Session:
    """One session of a customer whose key has every scope."""

    def __init__(self, owner: Holder, tenant: Tenant, session_id: str) -> None:
        self.owner = owner
        self.tenant = tenant
        self.id = session_id

    @property
    def number(self) -> int:
        """Its id in the database."""
        return int(self.id.removeprefix("sess_"))

    def rows(self) -> list[tuple[Any, ...]]:
        """Return message, model, tokens and generation of all that is stored."""
        return run_sql(self.tenant.database_url, READ_MESSAGES, self.number)

    def said(self) -> list[tuple[str, Any]]:
        """Return who said what."""
        return [(message["role"], message["content"]) for message, *_ in self.rows()]

    def count(self) -> int:
        """Return how many messages are stored."""
        return len(self.rows())

    async def say(self, content: Any, role: str = "user") -> None:
        """Put a message into it."""
        answer = await self.owner.call(
            "POST", f"/v1/chat/sessions/{self.id}/messages", {"role": role, "content": content}
        )
        assert answer.status == 201, answer.raw


async def begin_session(gateway: RunningGateway, tenant: Tenant) -> Session:
    """Begin a session."""
    owner = owner_of(gateway, tenant)
    answer = await owner.call("POST", "/v1/chat/sessions", {})
    assert answer.status == 201, answer.raw
    return Session(owner, tenant, answer.json["id"])


def fill(session: Session, count: int) -> None:
    """Put so many messages into an empty session."""
    url = session.tenant.database_url
    run_sql(url, FILL, session.tenant.account_id, session.number, count)
    run_sql(url, MOVE_END, count, session.number)


def user(text: str) -> list[dict[str, Any]]:
    """Return one question as chat's messages."""
    return [{"role": "user", "content": text}]


def question(speaker: Speaker, text: str) -> dict[str, Any]:
    """Return one question in the dialect's words, without instructions."""
    return {"input": text, "instructions": None} if speaker is RESPONSES else {"messages": user(text)}


async def converse(
    gateway: RunningGateway,
    session: Session,
    model: TestModel,
    speaker: Speaker = CHAT,
    headers: Mapping[str, str] | None = None,
    **fields: Any,
) -> Said:
    """Ask in the session, and check the answer by its dialect's own grammar."""
    answer = await speaker.ask(gateway, session.tenant, model, headers=headers, **{"session_id": session.id, **fields})
    return speaker.read(answer, is_stream=bool(fields.get("stream")))


def upstream_messages(provider: RawProvider, model: TestModel) -> list[dict[str, Any]]:
    """Return the messages of the latest request that reached the provider."""
    body = json.loads(provider.requests(model.upstream_model)[-1].partition(b"\r\n\r\n")[2])
    assert "session_id" not in body
    messages: list[dict[str, Any]] = body["messages"]
    return messages
