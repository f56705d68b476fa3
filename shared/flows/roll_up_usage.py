"""Keep the sums of closed days ready, so that a large account's statistics are read and not counted."""

import time
from collections.abc import Awaitable, Callable

import msgspec

from shared.flows.due_work import repeat_until_none
from shared.usage.store import Counted, UsageBooks

# Each round is one short call. After this time no other is begun; what is left is the next hour's.
MAX_ROUNDS = 500
MAX_S = 45.0


class RolledUp(msgspec.Struct, frozen=True):
    """Of how many accounts days were closed and summed; an account counts in each call that it takes."""

    closed: int
    summed: int


async def roll_up_usage(usage: UsageBooks) -> RolledUp:
    """Close the days of accounts and sum them, until nothing is left or the rounds are over.

    raises  StoreUnavailable; a retry is safe, and so are two at once
    """
    until_s = time.monotonic() + MAX_S
    return RolledUp(closed=await _repeat(usage.close_days, until_s), summed=await _repeat(usage.roll_up, until_s))


async def _repeat(call: Callable[[], Awaitable[Counted]], until_s: float) -> int:
    async def count() -> int:
        return (await call()).count

    return await repeat_until_none(count, most_calls=MAX_ROUNDS, until_s=until_s)
