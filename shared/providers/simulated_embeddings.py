"""Embeddings made inside the function: for test keys, deterministic, of length one and free."""

import binascii
import hashlib
import json
import struct
from collections.abc import Sequence

from shared.core.errors import InvalidRequest
from shared.providers.embedding_counts import EmbeddingCounts, Input
from shared.providers.embeddings import Encoding

# As many as OpenAI's usual model has.
DEFAULT_DIMENSIONS = 1_536
# Of one answer: they are made while other requests wait. 2,048 inputs of the usual length stay below.
MAX_NUMBERS = 4_000_000
_BITS = 8


def answer_embeddings(
    inputs: Sequence[Input], counts: EmbeddingCounts, *, encoding: Encoding, dimensions: int | None
) -> bytes:
    """Return a vector for each input: the same for the same input, and far from those of others.

    raises  InvalidRequest for more numbers than are made at once
    """
    length = dimensions or DEFAULT_DIMENSIONS
    if len(inputs) * length > MAX_NUMBERS:
        raise InvalidRequest(
            f"input: a test key is answered {MAX_NUMBERS:,} numbers at once. Send fewer inputs, or ask for fewer "
            "dimensions.",
            param="input",
        )
    write = _write_list if encoding == "float" else _write_base64
    pieces = _pieces(length, encoding)
    vectors = [b'{"embedding":%b}' % write(_bits(each, length), length, pieces) for each in inputs]
    return b'{"data":[%b],"usage":{"prompt_tokens":%d}}' % (b",".join(vectors), counts.counted_tokens or 1)


def _bits(each: Input, length: int) -> bytes:
    seed = json.dumps(each).encode()
    return hashlib.shake_256(seed).digest(-(-length // _BITS))


def _pieces(length: int, encoding: Encoding) -> list[bytes]:
    """Return what each byte of bits is written as: eight numbers, all of one size, whose signs are its bits."""
    size = float(f"{length**-0.5:.6g}")
    rows = [[size if byte >> bit & 1 else -size for bit in range(_BITS)] for byte in range(256)]
    if encoding == "float":
        return [b",".join(b"%r" % number for number in row) for row in rows]
    return [struct.pack("<8f", *row) for row in rows]


def _write_list(bits: bytes, length: int, pieces: Sequence[bytes]) -> bytes:
    numbers = b",".join(pieces[byte] for byte in bits)
    surplus = len(bits) * _BITS - length
    return b"[%b]" % (numbers.rsplit(b",", surplus)[0] if surplus else numbers)


def _write_base64(bits: bytes, length: int, pieces: Sequence[bytes]) -> bytes:
    numbers = b"".join(pieces[byte] for byte in bits)[: length * 4]
    return b'"%b"' % binascii.b2a_base64(numbers, newline=False)
