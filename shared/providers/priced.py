"""Bytes that name what was charged, made before that is known: the amount's place is kept open."""

import secrets

import msgspec

from shared.core.money import Nanos, format_dollars

_FIELD = b'"cost":'


class Priced(msgspec.Struct, frozen=True):
    """The bytes around the amount; where tail is None no amount is named."""

    head: bytes
    tail: bytes | None = None

    def with_cost(self, cost: Nanos | None) -> bytes:
        """Return the bytes with the amount put in, or without the field where the amount is not known."""
        if self.tail is None:
            return self.head
        if cost is None:
            return self.head.removesuffix(_FIELD).removesuffix(b",") + self.tail
        return self.head + format_cost(cost) + self.tail

    def followed_by(self, more: bytes) -> "Priced":
        """Return the same with more bytes at its end."""
        return Priced(self.head + more) if self.tail is None else Priced(self.head, self.tail + more)


class CostPlace:
    """The place of the amount in JSON that is being put together: a number that occurs nowhere else."""

    def __init__(self) -> None:
        self._digits = b"%d" % (secrets.randbits(128) | 1 << 128)

    @property
    def value(self) -> msgspec.Raw:
        """The value to put in as the last field, `cost`, of an object."""
        return msgspec.Raw(self._digits)

    def split(self, encoded: bytes) -> Priced:
        """Cut the encoded JSON at the place."""
        head, _, tail = encoded.partition(self._digits)
        return Priced(head, tail)


def format_cost(cost: Nanos) -> bytes:
    """Print an amount as the exact JSON number of dollars: `0.000123`, never an exponent."""
    return format_dollars(cost).rstrip("0").rstrip(".").encode()
