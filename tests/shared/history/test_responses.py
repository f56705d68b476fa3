"""How a response is sealed, and whose an id is."""

import secrets
from typing import Any

import pytest

from shared.clients.fernet import Sealer
from shared.core.ids import new_generation_id
from shared.history.responses import (
    MAX_JSON_BYTES,
    MAX_TEST_JSON_BYTES,
    MAX_TEST_SEALED_BYTES,
    ROOM,
    TEST_ROOM,
    Room,
    StoredResponse,
    open_response,
    parse_item_id,
    parse_response_id,
    seal_response,
)
from shared.providers.responses.output import Opening

SEALER = Sealer(("a" * 32,), purpose="stored responses")
QUESTION = {"type": "message", "role": "user", "content": "Half an emoji: \ud83d"}
ANSWER = {"id": "msg_1", "type": "message", "role": "assistant", "content": []}


def stored(*, output: list[Any] | None = None) -> StoredResponse:
    return StoredResponse(response={"id": "resp_1", "output": output or [ANSWER]}, input_items=[QUESTION])


def test_what_was_sealed_is_opened_as_it_was_and_shows_nothing() -> None:
    sealed = seal_response(SEALER, stored(), ROOM)
    assert sealed is not None
    assert "emoji" not in sealed.content
    opened = open_response(SEALER, sealed.content)
    assert opened == stored()
    assert opened.items == [QUESTION, ANSWER]


def test_what_was_sealed_for_something_else_or_changed_is_not_opened() -> None:
    sealed = seal_response(SEALER, stored(), ROOM)
    assert sealed is not None
    assert open_response(Sealer(("a" * 32,), purpose="kept answers"), sealed.content) is None
    assert open_response(SEALER, sealed.content[:-8] + "AAAAAAA=") is None


@pytest.mark.parametrize(
    ("text", "room"),
    [
        (secrets.token_hex(MAX_TEST_SEALED_BYTES), TEST_ROOM),
        ("x" * MAX_TEST_JSON_BYTES, TEST_ROOM),
        ("x" * MAX_JSON_BYTES, ROOM),
    ],
    ids=["random", "free and long", "long"],
)
def test_what_is_too_large_is_not_sealed(text: str, room: Room) -> None:
    large = stored(output=[{"type": "message", "content": text}])
    assert seal_response(SEALER, large, room) is None


def test_the_size_of_what_is_sealed_is_that_of_what_has_to_be_opened() -> None:
    small, large = (seal_response(SEALER, stored(output=[{"text": "x" * size}]), ROOM) for size in (1, 1_000_001))
    assert small is not None
    assert large is not None
    assert large.size_bytes - small.size_bytes == 1_000_000
    assert len(large.content) < 20_000


def test_the_ids_that_we_give_are_found_again() -> None:
    generation_id = new_generation_id()
    opening = Opening(response_id=f"resp_{generation_id.hex}", created_at=1, model="m")
    assert parse_response_id(opening.response_id) == generation_id
    for kind in ("message", "reasoning", "function", "custom"):
        assert parse_item_id(opening.item_id(kind, 17)) == generation_id


@pytest.mark.parametrize(
    "text",
    ["", "resp_", "resp_" + "g" * 32, "resp_" + "0" * 31, "resp_" + "0" * 33, "gen_" + "0" * 32, "RESP_" + "0" * 32],
)
def test_other_texts_name_no_response(text: str) -> None:
    assert parse_response_id(text) is None


@pytest.mark.parametrize(
    "text", ["msg_1", "msg_" + "0" * 32, "msg_" + "0" * 32 + "_", "msg_" + "0" * 32 + "_1_2", "item_1"]
)
def test_other_texts_name_no_item(text: str) -> None:
    assert parse_item_id(text) is None
