"""A whole chat completion as a message."""

import json
import re
from collections.abc import Mapping
from typing import Any

from shared.providers.messages.calls import INVALID_KEY
from shared.providers.messages.pieces import Piece, ToolPiece, read_pieces
from shared.providers.messages.request import Echo
from shared.providers.messages.sequence import Begin, Close, Fill, Sequencer
from shared.providers.messages.shapes import empty_message, usage_fields, write
from shared.providers.messages.stop import StopSigns
from shared.providers.priced import CostPlace, Priced
from shared.providers.usage import UsageReport

_SURROGATE = re.compile("[\ud800-\udfff]")


def to_message(completion: Mapping[str, Any], *, message_id: str, model: str, echo: Echo, usage: UsageReport) -> Priced:
    """Return the message, with the place of what was charged for it in its usage.

    shape   completion: decoded, its first choice is read; arguments of calls keep their very digits
    """
    choices = completion.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
    message = choice.get("message")
    sequencer = Sequencer(message_id=message_id, is_thinking_omitted=echo.is_thinking_omitted)
    content = _write_blocks(sequencer, _pieces(message if isinstance(message, dict) else {}))
    signs = StopSigns()
    signs.take(choice)
    ended = signs.ended(echo, has_calls=sequencer.has_calls, is_refused=sequencer.is_refused)
    place = CostPlace()
    head = write(empty_message(message_id, model)).removesuffix(b"[]}") + b"[" + b",".join(content) + b"],"
    return place.split(head + write({**ended.fields(), "usage": usage_fields(usage, place)})[1:])


def _pieces(message: Mapping[str, Any]) -> list[Piece]:
    """Return the pieces of a whole message, whose calls are apart whatever index they name."""
    pieces: list[Piece] = []
    for piece in read_pieces(message):
        pieces.append(piece._replace(number=len(pieces)) if isinstance(piece, ToolPiece) else piece)
    return pieces


def _write_blocks(sequencer: Sequencer, pieces: list[Piece]) -> list[bytes]:
    blocks: list[bytes] = []
    block: dict[str, Any] = {}
    texts: dict[str, str] = {}
    for step in [*sequencer.take(pieces), *sequencer.finish()]:
        if isinstance(step, Begin):
            block, texts = step.block, {}
        elif isinstance(step, Fill):
            texts[step.field] = texts.get(step.field, "") + step.text
        elif isinstance(step, Close):
            blocks.append(_write_block(block, texts))
    return blocks


def _write_block(block: dict[str, Any], texts: dict[str, str]) -> bytes:
    arguments = texts.pop("partial_json", None)
    if arguments is None:
        return write(block | texts)
    return write(block).removesuffix(b"{}}") + _write_input(arguments) + b"}"


def _write_input(arguments: str) -> bytes:
    """Return a call's input as its model wrote it; what is no JSON object, as an object that says so."""
    try:
        json.loads(arguments, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        return write({INVALID_KEY: arguments})
    return _SURROGATE.sub(lambda lone: f"\\u{ord(lone[0]):04x}", arguments).encode()


def _refuse_constant(name: str) -> None:
    raise ValueError(name)
