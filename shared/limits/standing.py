"""How much of its limits a key and its account use at this moment; reads what look.lua answers."""

from typing import cast

import msgspec

_NUMBERS_OF_EACH = 8


class Use(msgspec.Struct, frozen=True):
    """One limit and what counts against it; limit 0 is none. reset_ms is the time until all of it is free again."""

    limit: int
    used: int
    reset_ms: int


class Standing(msgspec.Struct, frozen=True):
    """The three limits of one key or one account; those under way have no known end."""

    requests: Use
    tokens: Use
    concurrency: Use


class Standings(msgspec.Struct, frozen=True):
    """Of the key that asks and of its account."""

    key: Standing
    account: Standing


def read_standings(answer: object) -> Standings:
    """Turn the script's answer into ours.

    raises  ValueError when it is anything but the head of look.lua has it
    """
    if not isinstance(answer, list) or len(answer) != 2 * _NUMBERS_OF_EACH or not all(type(n) is int for n in answer):
        raise ValueError("the look script answered in a form that is not its own")
    numbers = cast(list[int], answer)
    return Standings(account=_standing(numbers[:_NUMBERS_OF_EACH]), key=_standing(numbers[_NUMBERS_OF_EACH:]))


def _standing(numbers: list[int]) -> Standing:
    return Standing(
        requests=Use(*numbers[0:3]),
        tokens=Use(*numbers[3:6]),
        concurrency=Use(limit=numbers[6], used=numbers[7], reset_ms=0),
    )
