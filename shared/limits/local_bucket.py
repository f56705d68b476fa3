"""What one instance counts by itself while Redis is away: requests per minute, in memory, bounded."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from shared.core.clock import ClockMs
from shared.core.verdicts import LimitsPolicy, MinuteLimits
from shared.limits.refusals import Excess, refuse
from shared.limits.types import Allowance, Measure, RateState, Subject

# The same minute as window.lua's: the bucket under way and the twelve before it.
BUCKET_MS = 5_000
BUCKETS = 13
MAX_WINDOWS = 20_000  # 10,000 keys and their accounts; about 5 MB


@dataclass(slots=True)
class Window:
    """The requests of one key or account, by bucket."""

    counts: dict[int, int] = field(default_factory=dict)

    def total(self, bucket: int) -> int:
        """Forget what has left the minute before this bucket and return what is left."""
        self.counts = {at: count for at, count in self.counts.items() if at > bucket - BUCKETS}
        return sum(self.counts.values())

    def add(self, bucket: int) -> None:
        """Count one request."""
        self.counts[bucket] = self.counts.get(bucket, 0) + 1


class LocalBucket:
    """The windows of the keys that this instance saw last; the longest unused goes first."""

    def __init__(self, clock_ms: ClockMs, *, max_windows: int = MAX_WINDOWS) -> None:
        self._clock_ms = clock_ms
        self._max_windows = max_windows
        self._windows: OrderedDict[str, Window] = OrderedDict()

    def reserve(self, policy: LimitsPolicy) -> None:
        """Count one request of a key and of its account, or neither.

        raises  RequestsLimited when this instance alone has seen a minute's worth
        """
        now_ms = self._clock_ms()
        bucket = now_ms // BUCKET_MS
        for subject, limits, window in self._limited_windows(policy):
            total = window.total(bucket)
            if total + 1 > limits.requests_per_minute:
                retry_ms = (min(window.counts) + BUCKETS) * BUCKET_MS - now_ms
                excess = Excess(subject, Measure.REQUESTS, limits.requests_per_minute, retry_ms)
                raise refuse(excess, _state(limits.requests_per_minute, window, now_ms))
        for _, _, window in self._limited_windows(policy):
            window.add(bucket)

    def _limited_windows(self, policy: LimitsPolicy) -> Iterator[tuple[Subject, MinuteLimits, Window]]:
        if policy.account.requests_per_minute:
            yield "account", policy.account, self._window(f"account:{policy.account_id}")
        if policy.key.requests_per_minute:
            yield "key", policy.key, self._window(f"key:{policy.key_id}")

    def _window(self, name: str) -> Window:
        window = self._windows.setdefault(name, Window())
        self._windows.move_to_end(name)
        while len(self._windows) > self._max_windows:
            self._windows.popitem(last=False)
        return window


def _state(limit: int, window: Window, now_ms: int) -> RateState:
    remaining = max(0, limit - sum(window.counts.values()))
    reset_ms = (max(window.counts) + BUCKETS) * BUCKET_MS - now_ms
    return RateState(requests=Allowance(limit=limit, remaining=remaining, reset_ms=reset_ms), tokens=None)
