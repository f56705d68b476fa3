"""Responses that a later request may name: sealed, of one account, for thirty days."""

import json
import re
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from shared.clients.database import Database
from shared.clients.fernet import Sealer
from shared.core.caller import Caller
from shared.core.ids import GenerationId
from shared.core.money import Nanos
from shared.core.verdicts import LimitsPolicy, Refused

# Of the sealed text. A request has four megabytes at most, images included; two of them make a large row.
MAX_SEALED_BYTES = 4 * 1024 * 1024
# What a test key is answered costs nothing, so it may not fill the database either.
MAX_TEST_SEALED_BYTES = 8 * 1024
# Of the JSON in it, which a later request has to open. Compressing more would hold up everybody else.
MAX_JSON_BYTES = 8 * 1024 * 1024
# Compressed a thousandfold, it would pass the bound of its sealed text.
MAX_TEST_JSON_BYTES = 64 * 1024

Item = Mapping[str, Any]
_RESPONSE_ID = re.compile(r"resp_([0-9a-f]{32})", re.ASCII)
# The prefix says what it is of; the digits are its response's, and then comes its place.
_ITEM_ID = re.compile(r"[a-z]{2,4}_([0-9a-f]{32})_\d{1,6}", re.ASCII)


class StoredResponse(msgspec.Struct, frozen=True, kw_only=True):
    """One request of /v1/responses and its answer.

    response: as the API shows it, its usage without what it cost; input_items: this request's own
    """

    response: dict[str, Any]
    input_items: Sequence[Item]

    @property
    def items(self) -> list[Item]:
        """Its input and its output, in their order."""
        return [*self.input_items, *self.response["output"]]


class Room(msgspec.Struct, frozen=True, kw_only=True):
    """What a stored response may take, as JSON and sealed."""

    json_bytes: int
    sealed_bytes: int


ROOM = Room(json_bytes=MAX_JSON_BYTES, sealed_bytes=MAX_SEALED_BYTES)
TEST_ROOM = Room(json_bytes=MAX_TEST_JSON_BYTES, sealed_bytes=MAX_TEST_SEALED_BYTES)


class Sealed(msgspec.Struct, frozen=True, kw_only=True):
    """A response as it is stored; size_bytes: of the JSON that is opened for a request that names it."""

    content: str
    size_bytes: int


class ResponseStored(msgspec.Struct, frozen=True, tag_field="verdict", tag="stored"):
    """It is stored."""


class SealedConversation(msgspec.Struct, frozen=True, tag_field="verdict", tag="conversation"):
    """What a request names: the response that it continues with all before it, oldest first, and others."""

    earlier: tuple[str, ...]
    named: tuple[str, ...]
    policy: LimitsPolicy


class SealedResponse(msgspec.Struct, frozen=True, tag_field="verdict", tag="response"):
    """One stored response; cost_nanos is None until it is settled."""

    content: str
    cost_nanos: Nanos | None
    policy: LimitsPolicy


class ResponseDeleted(msgspec.Struct, frozen=True, tag_field="verdict", tag="deleted"):
    """Nothing is kept of it any more."""

    policy: LimitsPolicy


class StoredResponses:
    """The stored responses of one database.

    policy  closed: StoreUnavailable whenever the store does not answer as it must; a retry is always safe
    source  infra/supabase/migrations/20261105000100_stored_responses.sql
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def store(
        self, generation_id: GenerationId, previous_id: GenerationId | None, sealed: Sealed
    ) -> ResponseStored | Refused:
        """Store a response of the account that asked for it.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "store_response",
            {
                "p_generation_id": str(generation_id),
                "p_previous_id": None if previous_id is None else str(previous_id),
                "p_content": sealed.content,
                "p_size_bytes": sealed.size_bytes,
            },
            ResponseStored | Refused,  # type: ignore[arg-type]
        )

    async def read_conversation(
        self, caller: Caller, previous_id: GenerationId | None, named_ids: Iterable[GenerationId]
    ) -> SealedConversation | Refused:
        """Tell what a request names of its own account's responses.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "read_conversation",
            {
                "p_caller": caller.to_json(),
                "p_previous_id": None if previous_id is None else str(previous_id),
                "p_named_ids": [str(named_id) for named_id in named_ids],
            },
            SealedConversation | Refused,  # type: ignore[arg-type]
        )

    async def read(self, caller: Caller, generation_id: GenerationId) -> SealedResponse | Refused:
        """Tell one response.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "read_response",
            {"p_caller": caller.to_json(), "p_generation_id": str(generation_id)},
            SealedResponse | Refused,  # type: ignore[arg-type]
        )

    async def delete(self, caller: Caller, generation_id: GenerationId) -> ResponseDeleted | Refused:
        """Erase one response, and what is kept of it for a retry.

        raises  StoreUnavailable
        """
        return await self._database.call(
            "delete_response",
            {"p_caller": caller.to_json(), "p_generation_id": str(generation_id)},
            ResponseDeleted | Refused,  # type: ignore[arg-type]
        )


def parse_response_id(text: str) -> GenerationId | None:
    """Return whose response an id names; None for what is no id of ours."""
    match = _RESPONSE_ID.fullmatch(text)
    return None if match is None else GenerationId(uuid.UUID(match[1]))


def parse_item_id(text: str) -> GenerationId | None:
    """Return in whose response an item is; None for what is no id of ours."""
    match = _ITEM_ID.fullmatch(text)
    return None if match is None else GenerationId(uuid.UUID(match[1]))


def seal_response(sealer: Sealer, stored: StoredResponse, room: Room) -> Sealed | None:
    """Return a response as it is stored; None where it is too large."""
    text = json.dumps([stored.response, list(stored.input_items)], separators=(",", ":")).encode()
    if len(text) > room.json_bytes:
        return None
    content = sealer.seal(zlib.compress(text, zlib.Z_BEST_SPEED))
    return Sealed(content=content, size_bytes=len(text)) if len(content) <= room.sealed_bytes else None


def open_response(sealer: Sealer, sealed: str) -> StoredResponse | None:
    """Return a stored response; None where it cannot be opened any more."""
    compressed = sealer.open(sealed)
    if compressed is None:
        return None
    response, input_items = json.loads(zlib.decompress(compressed))
    return StoredResponse(response=response, input_items=input_items)
