"""Readings that the other instances have not been told yet."""

from collections import OrderedDict, deque

from shared.routing.offer_health import Event, Pair, Reading

# The newest are kept, until they are told.
MAX_WAITING = 256
# What rides along must not be what makes Redis slow: the rest waits for the next call.
MAX_PER_CALL = 32
# Calls under way at once that tell something; of one that is lost sight of nothing is known.
MAX_ON_THEIR_WAY = 64
MAX_LOST = 32


class Untold:
    """What waits for the next call to Redis, and what is on its way there.

    lost: whom something was said about that may not have arrived. It is not said again, since it may have: a failure
    would count twice. Whoever is known to be shut is said to be
    """

    def __init__(self) -> None:
        self._waiting: deque[Reading] = deque(maxlen=MAX_WAITING)
        self._on_their_way: deque[tuple[Reading, ...]] = deque(maxlen=MAX_ON_THEIR_WAY)
        self._lost: OrderedDict[Pair, None] = OrderedDict()
        self._has_news = False

    @property
    def has_news(self) -> bool:
        """Whether something waits that changes where the others' requests go, and was not tried to be told."""
        return self._has_news

    @property
    def readings(self) -> tuple[Reading, ...]:
        """What is not known to have arrived, oldest first."""
        on_their_way = (reading for readings in self._on_their_way for reading in readings)
        return (*on_their_way, *self._waiting)

    @property
    def lost(self) -> tuple[Pair, ...]:
        """Of whom the others may not have been told something."""
        return tuple(self._lost)

    def add(self, reading: Reading, *, is_news: bool) -> None:
        """Have a reading wait."""
        self._waiting.append(reading)
        self._has_news = self._has_news or is_news

    def take(self, states: tuple[Reading, ...] = ()) -> tuple[Reading, ...]:
        """Return what goes along with a call, oldest first, and states after it; then `note_told` or `note_lost`."""
        waiting = [self._waiting.popleft() for _ in range(min(MAX_PER_CALL, len(self._waiting)))]
        readings = (*waiting, *states)
        self._has_news = self._has_news and bool(self._waiting)
        if readings:
            self._on_their_way.append(readings)
        return readings

    def note_told(self, readings: tuple[Reading, ...]) -> None:
        """Forget what has arrived."""
        self._forget(readings)
        for reading in readings:
            if reading.event is Event.OPENED:
                self._lost.pop(reading.pair, None)

    def note_lost(self, readings: tuple[Reading, ...]) -> None:
        """Forget what may or may not have arrived, but whom it was about."""
        self._forget(readings)
        for reading in readings:
            self._lost[reading.pair] = None
            self._lost.move_to_end(reading.pair)
        while len(self._lost) > MAX_LOST:
            self._lost.popitem(last=False)

    def _forget(self, readings: tuple[Reading, ...]) -> None:
        if readings in self._on_their_way:
            self._on_their_way.remove(readings)
