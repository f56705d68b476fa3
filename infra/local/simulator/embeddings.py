"""Embeddings as providers answer them: what was asked, and the JSON of what comes. Pure."""

import base64
import hashlib
import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from infra.local.simulator.answers import SECRET_DETAIL, usage_fault
from infra.local.simulator.asked import BYTES_PER_TOKEN, MalformedRequestError
from infra.local.simulator.catalog import Provider
from infra.local.simulator.log import Served
from infra.local.simulator.script import Script, VectorForm

DEFAULT_DIMENSIONS = 8
MAX_INPUTS = 2_048
_INFINITE = struct.pack("<f", float("inf"))


@dataclass(frozen=True, slots=True)
class EmbeddingAsked:
    """One request for embeddings; each input is a text or a list of tokens."""

    model: str
    inputs: Sequence[Any]
    is_base64: bool
    dimensions: int

    @property
    def prompt_tokens(self) -> int:
        """What the inputs use."""
        texts = sum(len(each.encode("utf-8", "surrogatepass")) for each in self.inputs if isinstance(each, str))
        return max(1, -(-texts // BYTES_PER_TOKEN) + sum(len(each) for each in self.inputs if isinstance(each, list)))


def read_embedding_asked(body: Mapping[str, Any]) -> EmbeddingAsked:
    """Read the fields that shape the answer.

    raises  MalformedRequestError, naming the field
    """
    given = body.get("input")
    inputs = given if isinstance(given, list) and given and not isinstance(given[0], int) else [given]
    if not 1 <= len(inputs) <= MAX_INPUTS or not all(isinstance(each, str | list) and each for each in inputs):
        raise MalformedRequestError("`input` must be texts or lists of tokens, none of them empty")
    encoding = body.get("encoding_format", "float")
    if encoding not in ("float", "base64"):
        raise MalformedRequestError("`encoding_format` must be float or base64")
    dimensions = body.get("dimensions", DEFAULT_DIMENSIONS)
    if type(dimensions) is not int or dimensions < 1:
        raise MalformedRequestError("`dimensions` must be a whole number above zero")
    return EmbeddingAsked(str(body.get("model")), inputs, encoding == "base64", dimensions)


def embedding_answer(provider: Provider, asked: EmbeddingAsked, script: Script, served: Served) -> bytes:
    """Return the answer; what is billed for it stands in the record."""
    if script.error_event:
        error = {"code": 502, "message": f"Provider disconnected: {SECRET_DETAIL}"}
        return json.dumps({"error": error}).encode()
    items = [_item(index, each, asked, script) for index, each in enumerate(asked.inputs)]
    usage: dict[str, Any] = {"prompt_tokens": served.prompt_tokens, "total_tokens": served.prompt_tokens}
    if provider.publishes_cost:
        usage["cost"] = float(served.cost)
    answer: dict[str, Any] = {
        "object": "list",
        "id": served.id,
        "model": asked.model,
        "data": _arranged(items, script.vectors),
    }
    told = usage_fault(usage, script.usage)
    if told is not None:
        answer["usage"] = told
    return json.dumps(answer, separators=(",", ":")).encode()


def vector_of(text: object, dimensions: int) -> list[float]:
    """Return the numbers that an input comes to: eighths, which 32 bits hold exactly."""
    digest = hashlib.shake_256(json.dumps(text).encode()).digest(dimensions)
    return [(byte - 128) / 8 for byte in digest]


def _item(index: int, given: object, asked: EmbeddingAsked, script: Script) -> dict[str, Any]:
    is_longer = script.vectors is VectorForm.RAGGED and index == len(asked.inputs) - 1
    is_whole = script.vectors is VectorForm.WHOLE
    numbers = vector_of(given, DEFAULT_DIMENSIONS if is_whole else asked.dimensions + is_longer)
    is_base64 = asked.is_base64 if script.vectors is not VectorForm.OTHER else not asked.is_base64
    packed = struct.pack(f"<{len(numbers)}f", *numbers)
    embedding: object = base64.b64encode(packed).decode() if is_base64 else numbers
    if script.vectors is VectorForm.INFINITE:
        embedding = base64.b64encode(packed[:-4] + _INFINITE).decode()
    elif script.vectors is VectorForm.NAN:
        embedding = [float("nan"), *numbers[1:]]
    elif script.vectors is VectorForm.EMPTY:
        embedding = "" if is_base64 else []
    return {"object": "embedding", "index": index, "embedding": embedding}


def _arranged(items: list[dict[str, Any]], form: VectorForm) -> list[dict[str, Any]]:
    match form:
        case VectorForm.TOO_FEW:
            return items[:-1]
        case VectorForm.REVERSED:
            return items[::-1]
        case VectorForm.SAME_INDEX:
            return [item | {"index": 0} for item in items]
        case VectorForm.UNNUMBERED:
            return [{name: value for name, value in item.items() if name != "index"} for item in items]
        case _:
            return items
