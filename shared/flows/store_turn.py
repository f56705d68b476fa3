"""Requests with a session: the stored turns put before their messages, and their own turn stored when they end."""

import asyncio
import time
from collections.abc import Sequence

import msgspec

from shared.core.caller import Caller
from shared.core.errors import GatewayError, InvalidRequest, StoreUnavailable
from shared.core.ids import ChatSessionId, GenerationId, ModelId, format_generation_id
from shared.core.log import log_event
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.flows.call import AnswerStorage
from shared.flows.chat_request import DEFAULT_OUTPUT_TOKENS, DEFAULT_REASONING_OUTPUT_TOKENS, ChatRequest
from shared.history.chat_refusals import HistoryFull, MessageTooLarge, SessionFull, SessionNotFound
from shared.history.chat_types import TurnKept, TurnsTold
from shared.history.chats import BegunTurn, History, TurnMessage
from shared.providers.listening_dialect import ListeningDialect
from shared.providers.request_counts import count_request
from shared.providers.responses.dialect import ResponsesDialect
from shared.providers.session_turns import (
    KeptMessage,
    continue_conversation,
    keep_answer,
    keep_messages,
    split_messages,
)

# A turn has a hundred messages at most, and the last of them are the answer's.
MAX_NEW_MESSAGES = 90


class SessionNamed(msgspec.Struct, frozen=True, kw_only=True):
    """Which session a request goes on with. listener: puts its answer together; None: as chat's dialect has it."""

    history: History
    session_id: ChatSessionId
    listener: ResponsesDialect | None = None


class TurnStorage:
    """Stores the new messages of one request and their answer at the end of a session."""

    def __init__(self, named: SessionNamed, listener: ResponsesDialect, new: Sequence[KeptMessage]) -> None:
        self._named = named
        self._listener = listener
        self._new = new

    async def keep(self, generation_id: GenerationId) -> None:
        """Store a turn that came to its end.

        policy  open: the client has its answer; a turn that was not stored is missing from the session, and is logged
        """
        response = self._listener.response
        if response is None:
            return
        try:
            answer = keep_answer(response["output"], self._output_tokens())
        except GatewayError as refusal:
            # A provider may say what no request may: it has been delivered and paid for.
            _log_not_stored(generation_id, refusal.code)
            return
        if not answer:
            _log_not_stored(generation_id, "empty_answer")
            return
        turn = [TurnMessage(kept.message, kept.tokens) for kept in (*self._new, *answer)]
        model_id = ModelId(response["model"])
        try:
            told = await self._named.history.append_turn(generation_id, self._named.session_id, turn, model_id)
        except StoreUnavailable:
            _log_not_stored(generation_id, "store_unavailable")
            return
        reason = _reason_not_stored(told)
        if reason is not None:
            _log_not_stored(generation_id, reason)

    def _output_tokens(self) -> int | None:
        usage = self._listener.usage
        return None if usage is None else max(0, usage.output_tokens - usage.reasoning_tokens)


class BothStorages:
    """Stores an answer as a response, and as a session's turn."""

    def __init__(self, first: AnswerStorage, second: AnswerStorage) -> None:
        self._storages = (first, second)

    async def keep(self, generation_id: GenerationId) -> None:
        """Store it in both at once: each waits for the database as long as both may."""
        await asyncio.gather(*(storage.keep(generation_id) for storage in self._storages))


async def continue_session(
    desk: Desk, caller: Caller, named: SessionNamed, chat: ChatRequest, answer_headers: dict[str, str]
) -> ChatRequest:
    """Return the request with the session's turns before its messages, and with a storage for its own turn.

    raises  SessionNotFound, MissingScope, SessionFull, HistoryFull, MessageTooLarge, InvalidRequest; what
            ask_within_limits raises
    """
    new = split_messages(chat.body["messages"])
    if len(chat.body["messages"]) > MAX_NEW_MESSAGES:
        raise InvalidRequest(
            f"messages: with a session at most {MAX_NEW_MESSAGES} new ones are sent; those before them are stored.",
            param="messages",
        )
    kept_instructions, kept = keep_messages(new.instructions), keep_messages(new.said)
    told = await _begin(desk, caller, named, (chat, _begun(chat, kept_instructions, kept)), answer_headers)
    listener = named.listener or ResponsesDialect({}, model=chat.models[0], asked_at_s=int(time.time()))
    is_first = not told.messages and not told.is_cut
    turn = TurnStorage(named, listener, [*kept_instructions, *kept] if is_first else kept)
    return msgspec.structs.replace(
        chat,
        body={**chat.body, "messages": continue_conversation(told.messages, new)},
        dialect=ListeningDialect(chat.dialect, listener) if named.listener is None else chat.dialect,
        storage=turn if chat.storage is None else BothStorages(chat.storage, turn),
    )


async def _begin(
    desk: Desk,
    caller: Caller,
    named: SessionNamed,
    turn: tuple[ChatRequest, BegunTurn],
    answer_headers: dict[str, str],
) -> TurnsTold:
    chat, begun = turn
    claim = None if chat.claim is None else chat.claim.to_json()

    async def ask() -> TurnsTold | Refused:
        return await named.history.begin_turn(caller, named.session_id, begun, claim)

    try:
        return await ask_within_limits(desk, caller, ask, answer_headers)
    except (SessionNotFound, SessionFull, HistoryFull) as refusal:
        raise _at(refusal, "session_id") from None
    except MessageTooLarge as refusal:
        raise _at(refusal, "messages") from None


def _begun(chat: ChatRequest, instructions: Sequence[KeptMessage], kept: Sequence[KeptMessage]) -> BegunTurn:
    counts = count_request(chat.body)
    reasoning_default = DEFAULT_REASONING_OUTPUT_TOKENS
    default = reasoning_default if chat.is_reasoning_asked else DEFAULT_OUTPUT_TOKENS
    sizes, instruction_sizes = _sizes(kept), _sizes(instructions)
    return BegunTurn(
        models=chat.models,
        input_tokens=counts.prompt_tokens,
        output_tokens=chat.max_output_tokens or default + chat.thinking_tokens,
        reasoning_output_tokens=chat.max_output_tokens or reasoning_default + chat.thinking_tokens,
        images=counts.image_count,
        # And the answer, whatever its size.
        messages=len(sizes) + 1,
        size_bytes=sum(sizes),
        largest_bytes=max(sizes, default=0),
        instruction_messages=len(instruction_sizes),
        instruction_bytes=sum(instruction_sizes),
        largest_instruction_bytes=max(instruction_sizes, default=0),
    )


def _sizes(kept: Sequence[KeptMessage]) -> list[int]:
    return [message.size_bytes for message in kept]


def _at(refusal: GatewayError, param: str) -> GatewayError:
    refusal.param = param
    return refusal


def _reason_not_stored(told: TurnKept | Refused) -> str | None:
    if isinstance(told, Refused):
        return told.code
    return None if told.outcome in ("stored", "stored_before") else told.outcome


def _log_not_stored(generation_id: GenerationId, reason: str) -> None:
    log_event("turn_not_stored", level="warning", reason=reason, generation_id=format_generation_id(generation_id))
