import asyncio
import gc

import pytest

from shared.core.pulse import wait_with_pulse


class _Pulse:
    def __init__(self) -> None:
        self.beats = 0

    async def __call__(self) -> None:
        self.beats += 1


class _Refused(Exception):
    pass


async def _after(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "done"


async def test_an_answer_in_time_needs_no_pulse() -> None:
    pulse = _Pulse()
    assert await wait_with_pulse(_after(0), pulse, first_s=5, then_s=5) == "done"
    assert pulse.beats == 0


async def test_a_pulse_beats_after_the_first_wait_and_then_at_intervals() -> None:
    beaten = asyncio.Event()
    pulse = _Pulse()

    async def beat() -> None:
        await pulse()
        if pulse.beats == 3:
            beaten.set()

    async def work() -> str:
        await beaten.wait()
        return "done"

    assert await asyncio.wait_for(wait_with_pulse(work(), beat, first_s=0.02, then_s=0.001), 5) == "done"
    assert pulse.beats >= 3


async def test_what_the_work_raises_is_raised() -> None:
    async def fail() -> None:
        raise _Refused

    with pytest.raises(_Refused):
        await wait_with_pulse(fail(), _Pulse(), first_s=5, then_s=5)


async def test_a_pulse_that_fails_stops_the_work() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            ended.append("work")

    async def beat() -> None:
        raise _Refused

    with pytest.raises(_Refused):
        await wait_with_pulse(work(), beat, first_s=0.001, then_s=1)
    assert ended == ["work"]


async def test_a_cancelled_caller_stops_the_work_and_waits_for_its_end() -> None:
    ended: list[str] = []

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            await asyncio.sleep(0)
            ended.append("work")

    caller = asyncio.create_task(wait_with_pulse(work(), _Pulse(), first_s=5, then_s=5))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended == ["work"]


async def test_work_that_fails_while_it_is_stopped_is_not_reported_as_forgotten() -> None:
    reports: list[str] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: reports.append(context["message"]))

    async def work() -> None:
        try:
            await asyncio.sleep(30)
        finally:
            raise LookupError

    async def beat() -> None:
        raise _Refused

    with pytest.raises(_Refused):
        await wait_with_pulse(work(), beat, first_s=0.001, then_s=1)
    gc.collect()
    assert reports == []
