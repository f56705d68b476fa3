import asyncio

import pytest

from shared.core.finish import finish


class _Work:
    """Something that waits to be let go, and remembers whether it was disturbed."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.has_ended = False
        self.was_cancelled = False

    async def __call__(self) -> str:
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            self.was_cancelled = True
            raise
        self.has_ended = True
        return "done"


async def _settle_down() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_result_of_the_work_is_returned() -> None:
    work = _Work()
    work.may_end.set()
    assert await finish(work(), deadline_s=5) == "done"


async def test_what_the_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise LookupError("no such thing")

    with pytest.raises(LookupError, match="no such thing"):
        await finish(fail(), deadline_s=5)


@pytest.mark.parametrize("times", [1, 2, 20])
async def test_a_caller_that_is_cancelled_again_and_again_leaves_only_after_the_work_has_ended(times: int) -> None:
    work = _Work()
    caller = asyncio.create_task(finish(work(), deadline_s=5))
    await _settle_down()
    for _ in range(times):
        caller.cancel()
        await _settle_down()
    assert not caller.done()
    work.may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert (work.has_ended, work.was_cancelled) == (True, False)


async def test_a_caller_cancelled_before_it_ran_still_ends_the_work_it_was_given() -> None:
    work = _Work()
    work.may_end.set()

    async def call() -> str:
        asyncio.current_task().cancel()  # type: ignore[union-attr]
        return await finish(work(), deadline_s=5)

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(call())
    assert work.has_ended


async def test_a_cancelled_caller_learns_of_its_cancellation_even_if_the_work_fails() -> None:
    may_fail = asyncio.Event()
    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["message"]))

    async def fail() -> None:
        await may_fail.wait()
        raise LookupError

    caller = asyncio.create_task(finish(fail(), deadline_s=5))
    await _settle_down()
    caller.cancel()
    await _settle_down()
    may_fail.set()
    with pytest.raises(asyncio.CancelledError):
        await caller
    del caller
    await _settle_down()
    assert reports == []


async def test_the_deadline_ends_work_that_does_not_end() -> None:
    work = _Work()
    with pytest.raises(TimeoutError):
        await finish(work(), deadline_s=0.01)
    assert work.was_cancelled


async def test_the_deadline_holds_for_a_cancelled_caller_too() -> None:
    work = _Work()
    caller = asyncio.create_task(finish(work(), deadline_s=0.05))
    await _settle_down()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(caller, 5)
    assert work.was_cancelled


async def test_a_timeout_around_it_is_still_a_timeout() -> None:
    work = _Work()
    asyncio.get_running_loop().call_later(0.05, work.may_end.set)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.01):
            await finish(work(), deadline_s=5)
    assert work.has_ended
