"""What the database tells of stored chats; the shapes of the SQL functions' JSON."""

import uuid
from typing import Any, Literal

import msgspec

from shared.core.ids import ChatMessageId, ChatSessionId, ModelId
from shared.core.verdicts import LimitsPolicy

Role = Literal["system", "developer", "user", "assistant", "tool"]
# stored_before: this generation's turn is there; not_kept: the account keeps nothing of completions;
# superseded: a retry has taken the request's place, and leaves the turn
TurnOutcome = Literal["stored", "stored_before", "not_kept", "superseded"]


class ChatSession(msgspec.Struct, frozen=True, kw_only=True):
    """A conversation; messages and tokens are counts of what it has now."""

    id: ChatSessionId
    title: str | None
    model_id: str | None
    messages: int
    tokens: int
    created_at: str
    updated_at: str


class ChatMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message as the chat dialect has it; generation_id: of the request that stored it, None for its owner's own."""

    id: ChatMessageId
    session_id: ChatSessionId
    message: dict[str, Any]
    model_id: str | None
    tokens: int
    generation_id: uuid.UUID | None
    created_at: str


class FoundMessage(msgspec.Struct, frozen=True, kw_only=True):
    """A message that has the words that were looked for, with what stands around them."""

    id: ChatMessageId
    session_id: ChatSessionId
    title: str | None
    role: Role
    model_id: str | None
    created_at: str
    snippet: str | None


class ModelUse(msgspec.Struct, frozen=True):
    """What the messages of one model come to; model_id is None for those of none."""

    model_id: str | None
    messages: int
    tokens: int


class SessionTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="session"):
    """A conversation, made or changed."""

    session: ChatSession
    policy: LimitsPolicy
    is_replayed: bool = False


class SessionsTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="sessions"):
    """Conversations, newest first."""

    sessions: tuple[ChatSession, ...]
    policy: LimitsPolicy


class SessionRead(msgspec.Struct, frozen=True, tag_field="verdict", tag="session_read"):
    """A conversation with a page of its messages in their order; next_after: where the next begins, None at the end."""

    session: ChatSession
    page: tuple[ChatMessage, ...]
    next_after: int | None
    policy: LimitsPolicy


class SessionDeleted(msgspec.Struct, frozen=True, tag_field="verdict", tag="session_deleted"):
    """Nobody sees it any more."""

    policy: LimitsPolicy


class MessageTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="message"):
    """A message that was added."""

    message: ChatMessage
    policy: LimitsPolicy
    is_replayed: bool = False


class MessagesFound(msgspec.Struct, frozen=True, tag_field="verdict", tag="found"):
    """What was found, newest first."""

    messages: tuple[FoundMessage, ...]
    policy: LimitsPolicy


class StatsTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="stats"):
    """What all conversations of an account come to; models: the hundred with most tokens."""

    sessions: int
    messages: int
    tokens: int
    models: tuple[ModelUse, ...]
    policy: LimitsPolicy


class TurnsTold(msgspec.Struct, frozen=True, tag_field="verdict", tag="turns"):
    """What stands before a request's own messages, as the chat dialect has them, oldest first.

    tokens: of these, as providers counted or from above; is_cut: older ones did not fit
    """

    session_id: ChatSessionId
    model_id: ModelId | None
    messages: tuple[dict[str, Any], ...]
    tokens: int
    is_cut: bool
    policy: LimitsPolicy


class TurnKept(msgspec.Struct, frozen=True, tag_field="verdict", tag="turn"):
    """What came of a turn that was to be stored."""

    outcome: TurnOutcome


class Erased(msgspec.Struct, frozen=True):
    """How many sessions and messages one call has erased."""

    count: int
