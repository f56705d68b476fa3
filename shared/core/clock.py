"""Time, read in one place so that whoever needs it can be given another."""

import time
from collections.abc import Callable

# Milliseconds since the epoch; what the limiter counts in.
ClockMs = Callable[[], int]


def wall_clock_ms() -> int:
    """Return the time of day in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def elapsed_ms(started_s: float) -> int:
    """Return the milliseconds since `started_s`, a reading of `time.monotonic()`."""
    return int((time.monotonic() - started_s) * 1000)
