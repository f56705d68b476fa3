"""Waiting that stays awake: something is done at intervals while an answer is not there yet."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine


async def wait_with_pulse[T](
    work: Coroutine[object, object, T], pulse: Callable[[], Awaitable[None]], *, first_s: float, then_s: float
) -> T:
    """Return what work returns; call pulse after first_s of waiting and then every then_s.

    raises  what work raises; what pulse raises, and then work is cancelled
    """
    task = asyncio.ensure_future(work)
    try:
        interval_s = first_s
        while True:
            done, _ = await asyncio.wait({task}, timeout=interval_s)
            if done:
                return task.result()
            await pulse()
            interval_s = then_s
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        if task.done() and not task.cancelled():
            # Looked at, so that a failure while it was being stopped is not reported as forgotten.
            task.exception()
