"""What is shown of stored chats."""

from typing import Any, Literal

import msgspec

from shared.core.ids import (
    GenerationId,
    format_chat_message_id,
    format_chat_session_id,
    format_generation_id,
)
from shared.history.chat_types import ChatMessage, ChatSession, FoundMessage, Role, SessionRead, StatsTold
from shared.web.pagination import write_cursor


class SessionView(msgspec.Struct, kw_only=True):
    """A conversation, with how many messages it has and about how many tokens."""

    id: str
    object: Literal["chat.session"] = "chat.session"
    title: str | None
    model: str | None
    message_count: int
    tokens: int
    created_at: str
    updated_at: str


class MessageView(msgspec.Struct, kw_only=True):
    """A message as the chat dialect has it; generation_id is null for one that was not stored by a completion."""

    id: str
    object: Literal["chat.message"] = "chat.message"
    session_id: str
    role: Role
    content: Any
    tool_calls: list[Any] | None
    tool_call_id: str | None
    model: str | None
    tokens: int
    generation_id: str | None
    created_at: str


class MessagesView(msgspec.Struct, kw_only=True):
    """A page of a conversation's messages, in their order."""

    object: Literal["list"] = "list"
    data: list[MessageView]
    has_more: bool
    next: str | None


class WholeSessionView(SessionView, kw_only=True):
    """GET /v1/chat/sessions/{id}."""

    messages: MessagesView


class FoundView(msgspec.Struct, kw_only=True):
    """A message that was found, and what it says around the words; title is its session's."""

    id: str
    object: Literal["chat.match"] = "chat.match"
    session_id: str
    title: str | None
    role: Role
    model: str | None
    snippet: str
    created_at: str


class ModelUseView(msgspec.Struct, kw_only=True):
    """What the messages of one model come to; model is null for those of none."""

    model: str | None
    messages: int
    tokens: int


class StatsView(msgspec.Struct, kw_only=True):
    """What all conversations come to."""

    object: Literal["chat.stats"] = "chat.stats"
    sessions: int
    messages: int
    tokens: int
    models: list[ModelUseView]


def session_view(session: ChatSession) -> SessionView:
    """Show a conversation."""
    return SessionView(**_shown(session))


def whole_session_view(told: SessionRead) -> WholeSessionView:
    """Show a conversation with a page of its messages."""
    messages = MessagesView(
        data=[message_view(message) for message in told.page],
        has_more=told.next_after is not None,
        next=None if told.next_after is None else write_cursor(told.next_after),
    )
    return WholeSessionView(**_shown(told.session), messages=messages)


def message_view(message: ChatMessage) -> MessageView:
    """Show a message."""
    said, generation_id = message.message, message.generation_id
    return MessageView(
        id=format_chat_message_id(message.id),
        session_id=format_chat_session_id(message.session_id),
        role=said["role"],
        content=said.get("content"),
        tool_calls=said.get("tool_calls"),
        tool_call_id=said.get("tool_call_id"),
        model=message.model_id,
        tokens=message.tokens,
        generation_id=None if generation_id is None else format_generation_id(GenerationId(generation_id)),
        created_at=message.created_at,
    )


def found_view(found: FoundMessage) -> FoundView:
    """Show what was found."""
    return FoundView(
        id=format_chat_message_id(found.id),
        session_id=format_chat_session_id(found.session_id),
        title=found.title,
        role=found.role,
        model=found.model_id,
        snippet=found.snippet or "",
        created_at=found.created_at,
    )


def stats_view(told: StatsTold) -> StatsView:
    """Show what all conversations come to."""
    models = [ModelUseView(model=use.model_id, messages=use.messages, tokens=use.tokens) for use in told.models]
    return StatsView(sessions=told.sessions, messages=told.messages, tokens=told.tokens, models=models)


def _shown(session: ChatSession) -> dict[str, Any]:
    return {
        "id": format_chat_session_id(session.id),
        "title": session.title,
        "model": session.model_id,
        "message_count": session.messages,
        "tokens": session.tokens,
        "created_at": session.created_at,
        "updated_at": session.updated_at,
    }
