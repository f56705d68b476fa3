"""Responses that are stored: kept when they end, found by a request that continues them, shown and erased."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from shared.clients.fernet import Sealer
from shared.core.caller import Caller
from shared.core.errors import InvalidRequest, StoreUnavailable
from shared.core.ids import GenerationId, format_generation_id
from shared.core.log import log_event
from shared.core.verdicts import Refused
from shared.flows.ask import Desk, ask_within_limits
from shared.history.response_refusals import PreviousResponseNotFound, ResponseNotFound
from shared.history.responses import (
    ROOM,
    TEST_ROOM,
    Item,
    ResponseDeleted,
    Sealed,
    SealedConversation,
    SealedResponse,
    StoredResponse,
    StoredResponses,
    open_response,
    parse_item_id,
    parse_response_id,
    seal_response,
)
from shared.providers.responses.dialect import ResponsesDialect
from shared.providers.responses.output import priced_object, usage_object
from shared.providers.responses.request import References, Translated
from shared.providers.usage import UsageReport

# Of responses whose items a request refers to, beside those that it continues.
MAX_NAMED_RESPONSES = 100


class Archive(msgspec.Struct, frozen=True):
    """Where responses are stored, and how they are sealed."""

    responses: StoredResponses
    sealer: Sealer


class Named(msgspec.Struct, frozen=True, kw_only=True):
    """The stored responses that a request names: the one that it continues, those of single items, and these items."""

    previous_id: GenerationId | None
    response_ids: tuple[GenerationId, ...]
    item_ids: frozenset[str]

    @property
    def are_any(self) -> bool:
        """Whether one is named."""
        return self.previous_id is not None or bool(self.response_ids)


class Earlier(msgspec.Struct, frozen=True, kw_only=True):
    """What was stored of what a request names: the conversation that it continues, and single items by their id."""

    items: Sequence[Item] = ()
    named: Mapping[str, Item] = {}


class ResponseStorage:
    """Stores the answer of one request."""

    def __init__(self, archive: Archive, caller: Caller, dialect: ResponsesDialect, translated: Translated) -> None:
        self._archive = archive
        self._room = TEST_ROOM if caller.environment == "test" else ROOM
        self._dialect = dialect
        self._translated = translated

    async def keep(self, generation_id: GenerationId) -> None:
        """Store a response that came to its end.

        policy  open: the client has its answer; where it cannot be stored, a request that names it is told so
        """
        response = self._dialect.response
        if response is None:
            return
        sealed = self._seal(response, self._dialect.usage)
        if sealed is None:
            _log_not_stored(generation_id, "too_large")
            return
        previous = self._translated.echo["previous_response_id"]
        previous_id = None if previous is None else parse_response_id(previous)
        try:
            answer = await self._archive.responses.store(generation_id, previous_id, sealed)
        except StoreUnavailable:
            _log_not_stored(generation_id, "store_unavailable")
            return
        if isinstance(answer, Refused):
            _log_not_stored(generation_id, str(answer.numbers.get("reason", answer.code)))

    def _seal(self, response: dict[str, Any], usage: UsageReport | None) -> Sealed | None:
        shown = {**response, "usage": None if usage is None else usage_object(usage)}
        stored = StoredResponse(response=shown, input_items=self._translated.input_items)
        return seal_response(self._archive.sealer, stored, self._room)


def read_named(references: References) -> Named:
    """Return which stored responses a request means.

    raises  PreviousResponseNotFound for what is no response's id; InvalidRequest for too many
    """
    item_ids = [parse_item_id(item_id) for item_id in references.item_ids]
    named_ids = tuple(dict.fromkeys(item_id for item_id in item_ids if item_id is not None))
    if len(named_ids) > MAX_NAMED_RESPONSES:
        raise InvalidRequest(f"input: items of at most {MAX_NAMED_RESPONSES} responses can be named.", param="input")
    previous_id = None
    if references.previous_response_id is not None:
        previous_id = parse_response_id(references.previous_response_id)
        if previous_id is None:
            raise PreviousResponseNotFound("An id is written as a response's `id` shows it: resp_ and 32 digits.")
    return Named(previous_id=previous_id, response_ids=named_ids, item_ids=frozenset(references.item_ids))


async def find_earlier(
    desk: Desk, archive: Archive, caller: Caller, named: Named, answer_headers: dict[str, str]
) -> Earlier:
    """Look up what a request names of its account's stored responses; one that names nothing asks nobody.

    raises  PreviousResponseNotFound, ConversationTooLarge; what ask_within_limits raises
    """
    if not named.are_any:
        return Earlier()

    async def ask() -> SealedConversation | Refused:
        return await archive.responses.read_conversation(caller, named.previous_id, named.response_ids)

    found = await ask_within_limits(desk, caller, ask, answer_headers)
    return await _open_each(archive.sealer, found, named.item_ids)


async def _open_each(sealer: Sealer, found: SealedConversation, item_ids: Collection[str]) -> Earlier:
    """Open one response after the other, and keep its items alone: everybody else gets his turn in between.

    raises  PreviousResponseNotFound
    """
    items: list[Item] = []
    for sealed in found.earlier:
        stored = open_response(sealer, sealed)
        if stored is None:
            raise PreviousResponseNotFound("A response before this one cannot be opened any more. Send all as `input`.")
        items += stored.items
        await asyncio.sleep(0)
    named: dict[str, Item] = {}
    for sealed in found.named:
        stored = open_response(sealer, sealed)
        if stored is not None:
            named |= {item["id"]: item for item in stored.items if item.get("id") in item_ids}
        await asyncio.sleep(0)
    return Earlier(items=items, named=named)


async def show_response(
    desk: Desk, archive: Archive, caller: Caller, response_id: str, answer_headers: dict[str, str]
) -> bytes:
    """Return a stored response's JSON.

    raises  ResponseNotFound; what ask_within_limits raises
    """
    generation_id = _read_id(response_id)

    async def ask() -> SealedResponse | Refused:
        return await archive.responses.read(caller, generation_id)

    found = await ask_within_limits(desk, caller, ask, answer_headers)
    stored = open_response(archive.sealer, found.content)
    if stored is None:
        raise ResponseNotFound
    return priced_object(stored.response).with_cost(found.cost_nanos)


async def erase_response(
    desk: Desk, archive: Archive, caller: Caller, response_id: str, answer_headers: dict[str, str]
) -> None:
    """Erase a stored response, and what is kept of it for a retry.

    raises  ResponseNotFound; what ask_within_limits raises
    """
    generation_id = _read_id(response_id)

    async def ask() -> ResponseDeleted | Refused:
        return await archive.responses.delete(caller, generation_id)

    await ask_within_limits(desk, caller, ask, answer_headers)


def _read_id(response_id: str) -> GenerationId:
    generation_id = parse_response_id(response_id)
    if generation_id is None:
        raise ResponseNotFound
    return generation_id


def _log_not_stored(generation_id: GenerationId, reason: str) -> None:
    log_event("response_not_stored", level="warning", reason=reason, generation_id=format_generation_id(generation_id))
