"""Stored chats: one call to the database each."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from shared.clients.database import Argument, Database
from shared.core.caller import Caller
from shared.core.ids import ChatMessageId, ChatSessionId, GenerationId, ModelId
from shared.core.receipts import Receipt
from shared.core.verdicts import Refused
from shared.history.chat_types import (
    Erased,
    MessagesFound,
    MessageTold,
    SessionDeleted,
    SessionRead,
    SessionsTold,
    SessionTold,
    StatsTold,
    TurnKept,
    TurnsTold,
)


class TurnMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """A message to be stored, as the chat dialect has it; tokens: as counted by its provider, None for an estimate."""

    message: Mapping[str, Any] | msgspec.Raw
    tokens: int | None = None


class BegunTurn(msgspec.Struct, frozen=True, kw_only=True):
    """What a request with a session asks for, and what it would leave there at the least.

    models: any of them may answer; input_tokens: its own, images apart; output_tokens: the bound of one choice, of a
    model that reasons reasoning_output_tokens; messages, size_bytes, largest_bytes: of what it would store, as JSON;
    instruction_…: of what it would store beside where it is the session's first
    """

    models: tuple[ModelId, ...]
    input_tokens: int
    output_tokens: int
    reasoning_output_tokens: int
    images: int
    messages: int
    size_bytes: int
    largest_bytes: int
    instruction_messages: int
    instruction_bytes: int
    largest_instruction_bytes: int


class History:
    """The stored chats of one database. Each call of a person enters by his key, and answers a refusal where it must.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/…_history.sql, …_words.sql, …_sessions.sql, …_search.sql and …_turns.sql of it
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create_session(
        self, caller: Caller, settings: Mapping[str, str | None], receipt: Receipt
    ) -> SessionTold | Refused:
        """Begin a conversation; the same receipt begins it once.

        shape   settings: title, model_id
        """
        arguments: dict[str, Argument] = {
            "p_caller": caller.to_json(),
            "p_settings": settings,
            "p_receipt": receipt.to_json(),
        }
        answer: type[SessionTold | Refused] = SessionTold | Refused  # type: ignore[assignment]
        return await self._database.call("create_chat_session", arguments, answer)

    async def list_sessions(
        self, caller: Caller, *, limit: int, before: ChatSessionId | None
    ) -> SessionsTold | Refused:
        """Read a page of the account's conversations, newest first."""
        arguments: dict[str, Argument] = {"p_caller": caller.to_json(), "p_limit": limit, "p_before": before}
        answer: type[SessionsTold | Refused] = SessionsTold | Refused  # type: ignore[assignment]
        return await self._database.call("list_chat_sessions", arguments, answer)

    async def read_session(
        self, caller: Caller, session_id: ChatSessionId, *, limit: int, after: int | None
    ) -> SessionRead | Refused:
        """Read a conversation with the messages after a place in it, so many or 2 MiB."""
        arguments: dict[str, Argument] = {
            "p_caller": caller.to_json(),
            "p_session_id": session_id,
            "p_limit": limit,
            "p_after": after,
        }
        answer: type[SessionRead | Refused] = SessionRead | Refused  # type: ignore[assignment]
        return await self._database.call("read_chat_session", arguments, answer)

    async def update_session(
        self, caller: Caller, session_id: ChatSessionId, changes: Mapping[str, str | None]
    ) -> SessionTold | Refused:
        """Change title and model_id, those that are named."""
        arguments: dict[str, Argument] = {
            "p_caller": caller.to_json(),
            "p_session_id": session_id,
            "p_changes": changes,
        }
        answer: type[SessionTold | Refused] = SessionTold | Refused  # type: ignore[assignment]
        return await self._database.call("update_chat_session", arguments, answer)

    async def delete_session(self, caller: Caller, session_id: ChatSessionId) -> SessionDeleted | Refused:
        """Hide a conversation for good; the purge erases it."""
        arguments: dict[str, Argument] = {"p_caller": caller.to_json(), "p_session_id": session_id}
        answer: type[SessionDeleted | Refused] = SessionDeleted | Refused  # type: ignore[assignment]
        return await self._database.call("delete_chat_session", arguments, answer)

    async def add_message(
        self,
        caller: Caller,
        session_id: ChatSessionId,
        message: Mapping[str, Any],
        model_id: str | None,
        receipt: Receipt,
    ) -> MessageTold | Refused:
        """Put a message at the end of a conversation; the same receipt puts it there once."""
        arguments: dict[str, Argument] = {
            "p_caller": caller.to_json(),
            "p_session_id": session_id,
            "p_message": message,
            "p_model_id": model_id,
            "p_receipt": receipt.to_json(),
        }
        answer: type[MessageTold | Refused] = MessageTold | Refused  # type: ignore[assignment]
        return await self._database.call("add_chat_message", arguments, answer)

    async def search(
        self, caller: Caller, query: str, *, limit: int, before: ChatMessageId | None
    ) -> MessagesFound | Refused:
        """Find the account's messages that have these words, newest first."""
        arguments: dict[str, Argument] = {
            "p_caller": caller.to_json(),
            "p_query": query,
            "p_limit": limit,
            "p_before": before,
        }
        answer: type[MessagesFound | Refused] = MessagesFound | Refused  # type: ignore[assignment]
        return await self._database.call("search_chat", arguments, answer)

    async def read_stats(self, caller: Caller) -> StatsTold | Refused:
        """Read what all conversations of the account come to."""
        answer: type[StatsTold | Refused] = StatsTold | Refused  # type: ignore[assignment]
        return await self._database.call("read_chat_stats", {"p_caller": caller.to_json()}, answer)

    async def begin_turn(
        self, caller: Caller, session_id: ChatSessionId, turn: BegunTurn, claim: Mapping[str, object] | None
    ) -> TurnsTold | Refused:
        """Read what stands before a request's own messages: the newest turns that its models take beside them.

        The caller needs history:read and history:write beside what his route asks for. A turn that there is no room
        for is refused here. What its own first try left before it died is not among the turns.

        shape   claim: how it is known when it comes again, as admission has it
        """
        arguments: dict[str, Argument] = {
            "p_caller": caller.to_json(),
            "p_session_id": session_id,
            "p_turn": msgspec.structs.asdict(turn),
            "p_claim": claim,
        }
        answer: type[TurnsTold | Refused] = TurnsTold | Refused  # type: ignore[assignment]
        return await self._database.call("begin_chat_turn", arguments, answer)

    async def append_turn(
        self,
        generation_id: GenerationId,
        session_id: ChatSessionId,
        messages: Sequence[TurnMessage],
        model_id: ModelId | None,
    ) -> TurnKept | Refused:
        """Store a request's new messages and its answer at the end of a session, once for each generation.

        shape   messages: 1 to 100, in their order
        """
        arguments: dict[str, Argument] = {
            "p_generation_id": str(generation_id),
            "p_session_id": session_id,
            "p_messages": messages,
            "p_model_id": model_id,
        }
        answer: type[TurnKept | Refused] = TurnKept | Refused  # type: ignore[assignment]
        return await self._database.call("append_chat_turn", arguments, answer)

    async def erase_deleted(self, *, limit: int) -> Erased:
        """Erase what has been seen by nobody for longest, that many messages at most.

        0 is: nothing is left to erase, but of accounts that are in use at this moment.
        """
        return await self._database.call("erase_history", {"p_limit": limit}, Erased)
