"""What is due is done one by one, each in its own transaction, and what cannot be done keeps nothing else from it."""

import math
import time
from collections.abc import Awaitable, Callable, Sequence

from shared.core.errors import StoreUnavailable
from shared.core.ids import AccountId

# Some hundred accounts each; what is left waits for the next time.
MOST_CALLS = 20
# So many, and it is the store that is away.
MOST_FAILURES = 10


async def do_all_due[Done](
    find: Callable[[], Awaitable[Sequence[AccountId]]], do: Callable[[AccountId], Awaitable[Done]]
) -> list[Done]:
    """Do what is due for every account that is found, once for each, and return what came of it.

    raises  StoreUnavailable, after all others, where something could not be done; what `find` raises
    """
    done, failures, seen = list[Done](), list[StoreUnavailable](), set[AccountId]()
    for _ in range(MOST_CALLS):
        due = [account_id for account_id in await find() if account_id not in seen]
        for account_id in due:
            seen.add(account_id)
            try:
                done.append(await do(account_id))
            except StoreUnavailable as error:
                failures.append(error)
                if len(failures) == MOST_FAILURES:
                    raise
        if not due:
            break
    if failures:
        raise failures[0]
    return done


async def repeat_until_none(call: Callable[[], Awaitable[int]], *, most_calls: int, until_s: float = math.inf) -> int:
    """Call until nothing was left to do, so often at most, and not again after a time; return how much was done.

    units   until_s: as time.monotonic counts
    raises  what `call` raises
    """
    total = 0
    for _ in range(most_calls):
        done = await call()
        total += done
        if done == 0 or time.monotonic() >= until_s:
            break
    return total
