"""OpenAI's embeddings dialect: requests written, answers read, and written again in the encoding that was asked for."""

import binascii
import json
import math
import sys
from array import array
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from shared.core.errors import InvalidRequest
from shared.providers.priced import Priced
from shared.providers.raw_json import MalformedAnswer, decode, is_absent
from shared.providers.record import Provider
from shared.providers.request_fields import without_listed_fields

Encoding = Literal["float", "base64"]
_MISSING = msgspec.Raw(b"")


class Embeddings(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider answered.

    id: its name for the answer, "" for none; dimensions: how many numbers each vector has; vectors: one per input, in
    their order, as JSON; usage: as it came
    """

    id: str
    dimensions: int
    vectors: tuple[bytes, ...]
    usage: bytes | None
    error: bytes | None


class _Item(msgspec.Struct):
    embedding: msgspec.Raw
    index: int | None = None


class _Answer(msgspec.Struct):
    id: str | int | None = None
    data: list[_Item] | None = None
    usage: msgspec.Raw = _MISSING
    error: msgspec.Raw = _MISSING


_ANSWER = msgspec.json.Decoder(_Answer)
_FLOATS = msgspec.json.Decoder(list[float])
_TEXT = msgspec.json.Decoder(str)


def build_embedding_request(body: Mapping[str, Any], *, provider: Provider, upstream_model: str) -> bytes:
    """Turn the client's body into what goes to the provider; what is not named here passes untouched.

    policy  base64 is asked for whatever the client wants: it is a third as long, and holds the same numbers
    shape   compact ASCII JSON: escapes keep lone surrogates, which UTF-8 could not carry
    raises  InvalidRequest for what cannot be written as JSON (NaN, too deep)
    """
    request = without_listed_fields(body)
    request.pop("stream", None)
    request["model"] = upstream_model
    request.pop("encoding_format", None)
    if provider.knows_encoding_format:
        request["encoding_format"] = "base64"
    preferences = body.get("provider")
    if provider.honours_data_collection and isinstance(preferences, Mapping):
        data_collection = preferences.get("data_collection")
        if data_collection in ("allow", "deny"):
            request["provider"] = {"data_collection": data_collection}
    try:
        return json.dumps(dict(sorted(request.items())), separators=(",", ":"), allow_nan=False).encode()
    except (ValueError, RecursionError, TypeError) as unwritable:
        raise InvalidRequest("The request holds a value that JSON cannot carry.") from unwritable


def read_embeddings(body: bytes, *, count: int, encoding: Encoding) -> Embeddings:
    """Read an answer: one vector per input, all of one length, every number finite, in the encoding named.

    shape   vectors are empty where the answer is an error
    raises  MalformedAnswer
    """
    answer = decode(_ANSWER, body)
    error = None if is_absent(answer.error) else bytes(answer.error)
    dimensions, vectors = (0, ()) if error is not None else _vectors(answer.data or [], count, encoding)
    return Embeddings(
        id="" if answer.id is None else str(answer.id),
        dimensions=dimensions,
        vectors=vectors,
        usage=None if is_absent(answer.usage) else bytes(answer.usage),
        error=error,
    )


def write_embeddings(vectors: Sequence[bytes], *, model: str, tokens: int) -> Priced:
    """Write the whole answer, with the place of what it cost."""
    pieces = [b'{"object":"list","data":[']
    for index, vector in enumerate(vectors):
        pieces += (b"," if index else b"", b'{"object":"embedding","index":%d,"embedding":' % index, vector, b"}")
    usage = b'{"prompt_tokens":%d,"total_tokens":%d,"cost":' % (tokens, tokens)
    pieces += (b'],"model":', msgspec.json.encode(model), b',"usage":', usage)
    return Priced(b"".join(pieces), b"}}")


def _vectors(items: Sequence[_Item], count: int, encoding: Encoding) -> tuple[int, tuple[bytes, ...]]:
    """Return how many numbers each vector has, and the vectors.

    raises  MalformedAnswer
    """
    ordered = _in_order(items)
    if len(ordered) != count:
        raise MalformedAnswer(f"{len(ordered)} embeddings for {count} inputs")
    read = [_read_vector(bytes(item.embedding), encoding) for item in ordered]
    if len({length for length, _ in read}) > 1:
        raise MalformedAnswer("embeddings of different lengths")
    return read[0][0] if read else 0, tuple(vector for _, vector in read)


def _in_order(items: Sequence[_Item]) -> list[_Item]:
    """Put the items where their indexes say; without any they are in order.

    raises  MalformedAnswer for indexes that are no numbering
    """
    indexes = [item.index for item in items]
    if all(index is None for index in indexes):
        return list(items)
    placed = {item.index: item for item in items}
    try:
        return [placed[index] for index in range(len(items))]
    except KeyError as missing:
        raise MalformedAnswer("embeddings without their indexes") from missing


def _read_vector(text: bytes, encoding: Encoding) -> tuple[int, bytes]:
    """Return how many numbers a vector has, and the vector as JSON in the encoding; a list keeps its very digits."""
    is_list = not text.startswith(b'"')
    numbers = array("f", decode(_FLOATS, text)) if is_list else _from_base64(decode(_TEXT, text))
    if encoding == "base64":
        as_asked = b'"%b"' % _to_base64(numbers)
    elif is_list:
        as_asked = text
    else:
        as_asked = _to_list(numbers)
    # Among 32-bit numbers no sum overflows, so that it is infinite, or none at all, where one of them is.
    if not numbers or not math.isfinite(sum(numbers)):
        raise MalformedAnswer("an embedding that is empty or not finite")
    return len(numbers), as_asked


def _from_base64(text: str) -> "array[float]":
    """Read 32-bit floats, the least significant byte first.

    raises  MalformedAnswer
    source  https://github.com/openai/openai-python, resources/embeddings.py
    """
    numbers = array("f")
    try:
        numbers.frombytes(binascii.a2b_base64(text, strict_mode=True))
    except ValueError as malformed:
        raise MalformedAnswer("an embedding that is not base64 of 32-bit floats") from malformed
    _swap(numbers)
    return numbers


def _to_base64(numbers: "array[float]") -> bytes:
    _swap(numbers)
    encoded = binascii.b2a_base64(numbers.tobytes(), newline=False)
    _swap(numbers)
    return encoded


def _to_list(numbers: "array[float]") -> bytes:
    """Write numbers with nine digits, which tell every 32-bit float from all others."""
    return b"[%b]" % (b"%.9g," * len(numbers) % tuple(numbers))[:-1]


def _swap(numbers: "array[float]") -> None:
    """Turn the machine's order of bytes into the dialect's, and back."""
    if sys.byteorder == "big":
        numbers.byteswap()
