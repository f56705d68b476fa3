"""Reading and editing a provider's JSON without decoding what we do not look into, so that the rest survives."""

import re
from collections.abc import Callable
from typing import TypeVar

import msgspec

Decoded = TypeVar("Decoded")
Fields = dict[str, msgspec.Raw]

# One backslash escape: a whole surrogate pair, a lone surrogate (captured), or any other.
_ESCAPE = re.compile(
    rb"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u([dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_FIELDS = msgspec.json.Decoder(Fields)
_REFUSED = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


class MalformedAnswer(Exception):
    """The provider's bytes are not what its dialect says; the provider's fault, so the house's, never the client's."""


def decode(decoder: "msgspec.json.Decoder[Decoded]", data: bytes) -> Decoded:
    r"""Decode what the decoder's type names.

    raises  MalformedAnswer
    policy  a lone surrogate escape is read over: JavaScript upstreams cut an emoji between two chunks and send
            `\ud83d` alone, which msgspec refuses even in a value that is only skipped
    """
    try:
        return decoder.decode(data)
    except _REFUSED as refused:
        masked, marker = _mask_lone_surrogates(data)
        if not marker:
            raise MalformedAnswer(f"not the JSON that was expected: {refused}") from refused
    try:
        return decoder.decode(masked)
    except _REFUSED as refused:
        raise MalformedAnswer(f"not the JSON that was expected: {refused}") from refused


def edit_object(data: bytes, edit: Callable[[Fields], None]) -> bytes:
    """Let edit change the top-level fields of a JSON object; what it does not touch keeps its very digits.

    shape   one line, whatever data was: it may go into a `data:` line
    raises  MalformedAnswer
    """
    masked, marker = _mask_lone_surrogates(data)
    fields = decode(_FIELDS, masked)
    edit(fields)
    edited = msgspec.json.encode(fields)
    if b"\n" in edited or b"\r" in edited:
        edited = msgspec.json.format(edited, indent=-1)
    return edited.replace(marker, b"\\u") if marker else edited


def decode_object(data: bytes) -> Fields:
    """Return the fields of a JSON object, each as it came.

    raises  MalformedAnswer
    """
    return decode(_FIELDS, data)


def is_absent(value: bytes | msgspec.Raw) -> bool:
    """Say whether a field is missing or null."""
    return bytes(value) in {b"", b"null"}


def _mask_lone_surrogates(data: bytes) -> tuple[bytes, bytes]:
    r"""Return data with the `\u` of lone surrogates replaced by a marker that occurs nowhere in it, and the marker."""
    if b"\\ud" not in data and b"\\uD" not in data:
        return data, b""
    attempt = 0
    while (marker := b"~lone%d~" % attempt) in data:
        attempt += 1
    masked = _ESCAPE.sub(lambda escape: marker + escape[1] if escape[1] else escape[0], data)
    return (masked, marker) if masked != data else (data, b"")
