"""Readings that the other instances have not been told yet."""

from collections import deque
from collections.abc import Sequence

from shared.routing.offer_health import Pair, Reading

# The newest are kept, however long Redis is away.
MAX_WAITING = 256
# Calls under way at once that tell something; of one that is lost sight of nothing is told again.
MAX_ON_THEIR_WAY = 64


class Untold:
    """What waits for the next call to Redis, and what is on its way there: newer than what is heard from it."""

    def __init__(self) -> None:
        self._waiting: deque[Reading] = deque(maxlen=MAX_WAITING)
        self._on_their_way: deque[tuple[Reading, ...]] = deque(maxlen=MAX_ON_THEIR_WAY)
        self._has_news = False

    @property
    def has_news(self) -> bool:
        """Whether something waits that changes where the others' requests go, and was not tried to be told."""
        return self._has_news

    @property
    def pairs(self) -> set[Pair]:
        """Whom it is about."""
        on_their_way = (reading for readings in self._on_their_way for reading in readings)
        return {reading.pair for reading in (*self._waiting, *on_their_way)}

    def add(self, reading: Reading, *, is_news: bool) -> None:
        """Have a reading wait."""
        self._waiting.append(reading)
        self._has_news = self._has_news or is_news

    def take(self) -> tuple[Reading, ...]:
        """Return what waits, oldest first; it is on its way until `note_told` or `put_back`."""
        readings = tuple(self._waiting)
        self._waiting.clear()
        self._has_news = False
        if readings:
            self._on_their_way.append(readings)
        return readings

    def note_told(self, readings: tuple[Reading, ...]) -> None:
        """Forget what has arrived."""
        if readings in self._on_their_way:
            self._on_their_way.remove(readings)

    def put_back(self, readings: tuple[Reading, ...]) -> None:
        """Have what nobody took wait for the next call that is made anyway, before what was noted meanwhile."""
        self.note_told(readings)
        waiting: Sequence[Reading] = (*readings, *self._waiting)
        self._waiting = deque(waiting[-MAX_WAITING:], maxlen=MAX_WAITING)
