"""Who has waited for how long in a stream: the client for a byte of ours, we for a byte of the provider's."""

import time

FIRST_PING_S = 5.0
PING_S = 15.0


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
