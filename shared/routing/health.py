"""What this instance has seen of each provider: who fails, how soon it answers, how fast it writes."""

from collections.abc import Callable
from dataclasses import dataclass

from shared.core.ids import ModelId, ProviderSlug

FAILURES_TO_OPEN = 5
OPEN_S = 30.0
# The weight of the newest reading: about the last ten requests count.
NEWEST_WEIGHT = 0.2
# Models times providers is bounded by the catalog; this bounds it against a catalog gone wild.
MAX_ENTRIES = 10_000


@dataclass(slots=True)
class _Reading:
    failures_in_a_row: int = 0
    open_until_s: float = 0.0
    latency_ms: float | None = None
    tokens_per_second: float | None = None


class ProviderHealth:
    """Breakers and running averages, by provider and model; a memory of hints, never of truth.

    units   clock_s: monotonic seconds
    """

    def __init__(self, clock_s: Callable[[], float]) -> None:
        self._clock_s = clock_s
        self._readings: dict[tuple[ProviderSlug, ModelId], _Reading] = {}

    def record_success(self, provider: ProviderSlug, model_id: ModelId, *, first_byte_ms: float) -> None:
        """Note an answer: the breaker closes."""
        reading = self._reading(provider, model_id)
        reading.failures_in_a_row = 0
        reading.open_until_s = 0.0
        reading.latency_ms = _average(reading.latency_ms, first_byte_ms)

    def record_throughput(self, provider: ProviderSlug, model_id: ModelId, *, tokens: int, seconds: float) -> None:
        """Note how fast an answer was written."""
        if tokens > 0 and seconds > 0:
            reading = self._reading(provider, model_id)
            reading.tokens_per_second = _average(reading.tokens_per_second, tokens / seconds)

    def record_failure(self, provider: ProviderSlug, model_id: ModelId) -> None:
        """Note a failure that is the provider's; enough of them in a row open the breaker for a while."""
        reading = self._reading(provider, model_id)
        reading.failures_in_a_row += 1
        if reading.failures_in_a_row >= FAILURES_TO_OPEN:
            reading.open_until_s = self._clock_s() + OPEN_S

    def is_open(self, provider: ProviderSlug, model_id: ModelId) -> bool:
        """Tell whether the provider should be asked only when no other is left."""
        reading = self._readings.get((provider, model_id))
        return reading is not None and reading.open_until_s > self._clock_s()

    def latency_ms(self, provider: ProviderSlug, model_id: ModelId) -> float:
        """Return the usual time to the first byte; 0 for a provider not tried yet, so that it gets tried."""
        reading = self._readings.get((provider, model_id))
        return 0.0 if reading is None or reading.latency_ms is None else reading.latency_ms

    def tokens_per_second(self, provider: ProviderSlug, model_id: ModelId) -> float:
        """Return the usual output rate; infinite for a provider not tried yet, so that it gets tried."""
        reading = self._readings.get((provider, model_id))
        return float("inf") if reading is None or reading.tokens_per_second is None else reading.tokens_per_second

    def _reading(self, provider: ProviderSlug, model_id: ModelId) -> _Reading:
        key = (provider, model_id)
        if key not in self._readings and len(self._readings) >= MAX_ENTRIES:
            self._readings.pop(next(iter(self._readings)))
        return self._readings.setdefault(key, _Reading())


def _average(previous: float | None, newest: float) -> float:
    return newest if previous is None else previous + NEWEST_WEIGHT * (newest - previous)
