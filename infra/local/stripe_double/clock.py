"""The double's own time, in whole seconds: it ticks or stands still, and is moved forwards on request."""

import time


class Clock:
    """now_s: start there and stand still; without it the clock ticks with the machine's."""

    def __init__(self, now_s: int | None = None) -> None:
        self._stands_at = now_s
        self._ahead_s = 0

    def now(self) -> int:
        """Return seconds since 1970."""
        return int(time.time()) + self._ahead_s if self._stands_at is None else self._stands_at

    def move_to(self, when: int) -> None:
        """Go to a moment; one that has passed changes nothing."""
        ahead_s = max(0, when - self.now())
        if self._stands_at is None:
            self._ahead_s += ahead_s
        else:
            self._stands_at += ahead_s

    @property
    def stands_still(self) -> bool:
        """Whether time passes only when it is moved."""
        return self._stands_at is not None
