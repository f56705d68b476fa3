"""Work that must reach its end although its caller is being cancelled."""

import asyncio
from collections.abc import Coroutine


async def finish[T](work: Coroutine[object, object, T], *, deadline_s: float) -> T:
    """Run work to its end, whatever happens to the caller meanwhile, and return its result.

    A cancellation that arrives meanwhile is raised after the work has ended, not instead of it.

    units   deadline_s: seconds that the work gets
    raises  TimeoutError when the deadline passes; what the work raises; CancelledError when the caller was cancelled
    """
    task = asyncio.ensure_future(asyncio.wait_for(work, deadline_s))
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError as error:
            cancelled = error
        except Exception:  # noqa: BLE001 - the task keeps it, and result() raises it below
            break
    if cancelled is not None:
        raise cancelled
    return task.result()
