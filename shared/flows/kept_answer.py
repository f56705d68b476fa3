"""An answer kept for a client that asks again: what it was sent, compressed and sealed."""

import zlib

import msgspec

from shared.clients.fernet import Sealer
from shared.core.money import Nanos
from shared.providers.priced import Priced

# Of the sealed text; a stream compresses to about a tenth, so this is some 20,000 tokens.
MAX_SEALED_BYTES = 256 * 1024
# Of what was sent: compressing more would hold up everybody else.
MAX_SENT_BYTES = 8 * 1024 * 1024
# 8 KiB of window and 16 KiB of tables per stream, instead of the 256 KiB that zlib takes by default.
_WINDOW_BITS = 13
_MEMORY_LEVEL = 5
_PIECE_BYTES = 128 * 1024


class _Kept(msgspec.Struct, array_like=True, frozen=True):
    """What is sealed: the bytes before the amount that was charged, compressed, and those after it."""

    head: bytes
    tail: bytes | None


class AnswerKeeper:
    """Keeps what a client is sent until that has grown too large.

    units   max_sealed_bytes: of the sealed text
    """

    def __init__(self, max_sealed_bytes: int = MAX_SEALED_BYTES) -> None:
        self._max_sealed_bytes = max_sealed_bytes
        self._compressor = zlib.compressobj(zlib.Z_BEST_SPEED, zlib.DEFLATED, _WINDOW_BITS, _MEMORY_LEVEL)
        self._parts: list[bytes] = []
        self._sent_bytes = 0
        self._kept_bytes = 0

    def add(self, data: bytes) -> None:
        """Keep the next bytes that were sent."""
        self._sent_bytes += len(data)
        if self._is_too_large:
            self._parts.clear()
            return
        self._append(self._compressor.compress(data))

    def seal(self, sealer: Sealer, ending: Priced) -> str | None:
        """Return the whole answer, sealed, with the place for what it cost; None where it is too large."""
        for start in range(0, len(ending.head), _PIECE_BYTES):
            self.add(ending.head[start : start + _PIECE_BYTES])
            # A whole answer may be a hundred megabytes of images: the rest is not even looked at.
            if self._is_too_large:
                return None
        self._append(self._compressor.flush())
        sealed = sealer.seal(msgspec.msgpack.encode(_Kept(b"".join(self._parts), ending.tail)))
        return sealed if len(sealed) <= self._max_sealed_bytes else None

    def _append(self, compressed: bytes) -> None:
        if compressed:
            self._kept_bytes += len(compressed)
            self._parts.append(compressed)

    @property
    def _is_too_large(self) -> bool:
        return self._sent_bytes > MAX_SENT_BYTES or self._kept_bytes > self._max_sealed_bytes


def open_kept_answer(sealer: Sealer, sealed: str, cost: Nanos) -> bytes | None:
    """Return the bytes that were sent; None where they cannot be opened any more."""
    plain = sealer.open(sealed)
    if plain is None:
        return None
    kept = msgspec.msgpack.decode(plain, type=_Kept)
    return Priced(zlib.decompress(kept.head, _WINDOW_BITS), kept.tail).with_cost(cost)
