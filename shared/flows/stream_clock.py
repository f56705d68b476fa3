"""Who has waited for how long in a stream: the client for a byte of ours, we for a byte of the provider's."""

import time
from collections.abc import Iterator
from contextlib import contextmanager

FIRST_PING_S = 5.0
PING_S = 15.0
# What came in less was written before we asked for it, by a proxy that kept it, say.
LEAST_MEASURED_S = 0.2
# Of the time that a provider wrote, it may have waited for us or our client for no more than this part.
LARGEST_HELD_UP = 0.2


# Whom nobody reads from for so long may cut us off for that alone; nginx in front of it does, by its send_timeout.
LONG_HELD_UP_S = 1.0


class StreamClock:
    """The two silences of one stream; a provider's comments end ours but not the client's.

    units   silence_limit_s: for how long the provider may send nothing
    """

    def __init__(self, silence_limit_s: float) -> None:
        now_s = time.monotonic()
        self._silence_limit_s = silence_limit_s
        self._silent_after_s = now_s + silence_limit_s
        self._ping_due_s = now_s + FIRST_PING_S

    def note_read(self) -> None:
        """The provider has sent something."""
        self._silent_after_s = time.monotonic() + self._silence_limit_s

    def note_written(self) -> None:
        """The client has been sent a part of the answer; a slow one's time is not counted as the provider's."""
        self._ping_due_s = time.monotonic() + FIRST_PING_S
        self.note_read()

    def note_ping(self) -> None:
        """The client has been sent a ping."""
        self._ping_due_s = time.monotonic() + PING_S

    @property
    def is_provider_silent(self) -> bool:
        """Whether the provider has used up its patience."""
        return time.monotonic() >= self._silent_after_s

    @property
    def is_ping_due(self) -> bool:
        """Whether the client should hear that we are still there."""
        return time.monotonic() >= self._ping_due_s

    def patience_s(self) -> float:
        """Return for how long the next read may wait before something is due."""
        return max(0.0, min(self._silent_after_s, self._ping_due_s) - time.monotonic())


class Pace:
    """How long a provider has written; while we wait for the client or a store and do not read, nobody can tell.

    units   begun_s: when the first of it was there, on the monotonic clock
    """

    def __init__(self, begun_s: float) -> None:
        self._begun_s = begun_s
        self._last_s = begun_s
        self._held_up_s = 0.0
        self._longest_held_up_s = 0.0
        self._held_up_before_last_s = 0.0

    def note_read(self) -> None:
        """The provider has sent something."""
        self._last_s = time.monotonic()
        self._held_up_before_last_s = self._held_up_s

    @contextmanager
    def held_up(self) -> Iterator[None]:
        """Count the time that passes within as one in which nothing was read."""
        started_s = time.monotonic()
        try:
            yield
        finally:
            held_up_s = time.monotonic() - started_s
            self._held_up_s += held_up_s
            self._longest_held_up_s = max(self._longest_held_up_s, held_up_s)

    @property
    def was_held_up_for_long(self) -> bool:
        """Whether the provider may have given up since nobody read."""
        return self._longest_held_up_s >= LONG_HELD_UP_S

    @property
    def written_s(self) -> float | None:
        """From the first of it to the last, None where that was too short, or the provider too often held up."""
        written_s = self._last_s - self._begun_s
        is_its_own = self._held_up_before_last_s <= LARGEST_HELD_UP * written_s
        return written_s if written_s >= LEAST_MEASURED_S and is_its_own else None
