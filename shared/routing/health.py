"""What this instance knows of each provider: who fails, how soon it answers, how fast it writes."""

from collections import OrderedDict, deque
from collections.abc import Collection, Mapping

import msgspec

from shared.core.clock import ClockMs
from shared.core.ids import ModelId, ProviderSlug
from shared.core.log import Level, log_event
from shared.providers.simulated import SIMULATED
from shared.routing.offer_health import PROBE_MS, Breaker, Event, OfferHealth, Pair, Reading

# For how long what the instances share is not asked for again.
FRESH_MS = 2_000
# A client names models that there are not; this bounds what is remembered of them.
MAX_MODELS = 4_096
# Readings that wait for the next call to Redis; without Redis the newest are kept.
MAX_WAITING = 256
# A provider that limits us may ask for an hour; it is looked at again sooner.
MAX_LIMITED_S = 60
DEFAULT_LIMITED_S = 5
_UNKNOWN = OfferHealth()


class _Model(msgspec.Struct):
    """The providers of one model; told_at_ms: when the other instances' readings were told last."""

    told_at_ms: int | None = None
    by_provider: dict[ProviderSlug, OfferHealth] = {}


class ProviderHealth:
    """Breakers and running averages, by provider and model; a memory of hints, never of truth.

    It is this instance's own, and goes on alone when the others cannot be heard.
    """

    def __init__(self, clock_ms: ClockMs) -> None:
        self._clock_ms = clock_ms
        self._models: OrderedDict[ModelId, _Model] = OrderedDict()
        self._offered: OrderedDict[tuple[ModelId, ...], tuple[ModelId, ...]] = OrderedDict()
        self._waiting: deque[Reading] = deque(maxlen=MAX_WAITING)
        self._has_news = False

    @property
    def now_ms(self) -> int:
        """The time by which breakers open and close."""
        return self._clock_ms()

    @property
    def has_news(self) -> bool:
        """Whether something waits to be told that changes where the others' requests go."""
        return self._has_news

    def record_success(self, provider: ProviderSlug, model_id: ModelId, *, first_byte_ms: float) -> None:
        """Note an answer: the breaker closes."""
        closes = self.of(provider, model_id).failures > 0
        self._note(Reading(provider, model_id, Event.ANSWERED, first_byte_ms), is_news=closes)

    def record_throughput(self, provider: ProviderSlug, model_id: ModelId, *, tokens: int, seconds: float) -> None:
        """Note how fast an answer was written."""
        if tokens > 0 and seconds > 0:
            self._note(Reading(provider, model_id, Event.WRITTEN, tokens / seconds), is_news=False)

    def record_failure(self, provider: ProviderSlug, model_id: ModelId) -> None:
        """Note a failure that is the provider's; enough of them in a row open the breaker for a while."""
        self._note(Reading(provider, model_id, Event.FAILED), is_news=True)

    def record_limit(self, provider: ProviderSlug, model_id: ModelId, *, retry_after_s: int | None) -> None:
        """Note that the provider has enough of us: it answers, so it is not shut out, but others are asked first."""
        limited_s = min(retry_after_s or DEFAULT_LIMITED_S, MAX_LIMITED_S)
        self._note(Reading(provider, model_id, Event.LIMITED, limited_s * 1000), is_news=True)

    def give_back_probe(self, provider: ProviderSlug, model_id: ModelId) -> None:
        """Let another request probe, in a moment: this one has not."""
        self._note(Reading(provider, model_id, Event.UNPROBED, FRESH_MS), is_news=False)

    def of(self, provider: ProviderSlug, model_id: ModelId) -> OfferHealth:
        """Return what is known of a model at a provider."""
        model = self._models.get(model_id)
        return _UNKNOWN if model is None else model.by_provider.get(provider, _UNKNOWN)

    def is_stale(self, model_id: ModelId, providers: Collection[ProviderSlug]) -> bool:
        """Tell whether the others should be heard on a model: it was long ago, or somebody is to be probed."""
        model, now_ms = self._models.get(model_id), self._clock_ms()
        if model is None or model.told_at_ms is None or not 0 <= now_ms - model.told_at_ms < FRESH_MS:
            return True
        return any(health.awaits_probe(now_ms) for slug, health in model.by_provider.items() if slug in providers)

    def learn(self, model_id: ModelId, told: Mapping[ProviderSlug, OfferHealth], *, is_whole: bool) -> None:
        """Believe what the instances have seen together; is_whole: who is not named there is known to nobody.

        What waits to be told to them is newer than what they say.
        """
        model, waiting = self._model(model_id), {reading.pair for reading in self._waiting}
        kept = {slug: health for slug, health in model.by_provider.items() if (slug, model_id) in waiting}
        model.by_provider = {**({} if is_whole else model.by_provider), **told, **kept}
        if is_whole:
            model.told_at_ms = self._clock_ms()

    def note_offered(self, asked: tuple[ModelId, ...], offered: Collection[ModelId]) -> None:
        """Remember which models admission offered for those asked: health is kept under their own ids alone."""
        others = tuple(dict.fromkeys(model_id for model_id in offered if model_id not in asked))
        if others:
            self._offered[asked] = others
            self._offered.move_to_end(asked)
        while len(self._offered) > MAX_MODELS:
            self._offered.popitem(last=False)

    def models_behind(self, asked: tuple[ModelId, ...]) -> tuple[ModelId, ...]:
        """Return the models asked for, and those that were offered for them before."""
        return (*asked, *self._offered.get(asked, ()))

    def claim_probes(self, models: Collection[ModelId], providers: Collection[ProviderSlug]) -> set[Pair]:
        """Take on all probes that this instance alone would let a request make: the others cannot be heard."""
        now_ms, claimed = self._clock_ms(), set[Pair]()
        for model_id in models:
            model = self._models.get(model_id)
            for slug, health in list(model.by_provider.items()) if model is not None else []:
                if slug in providers and health.awaits_probe(now_ms):
                    self._model(model_id).by_provider[slug] = msgspec.structs.replace(
                        health, probe_until_ms=now_ms + PROBE_MS
                    )
                    claimed.add((slug, model_id))
        return claimed

    def take_waiting(self) -> tuple[Reading, ...]:
        """Return what the others have not been told yet, oldest first; it waits no more."""
        waiting = tuple(self._waiting)
        self._waiting.clear()
        self._has_news = False
        return waiting

    def opens_in_ms(self, pairs: Collection[Pair]) -> int:
        """Return for how long none of these may be asked; 0 where one may be."""
        now_ms = self._clock_ms()
        waits = [_wait_ms(self.of(*pair), now_ms) for pair in pairs]
        return max(0, min(waits, default=0))

    def _note(self, reading: Reading, *, is_news: bool) -> None:
        if reading.provider == SIMULATED.slug:
            return
        before, now_ms = self.of(*reading.pair), self._clock_ms()
        after = before.after(reading, now_ms)
        self._model(reading.model_id).by_provider[reading.provider] = after
        if after.breaker(now_ms) is not before.breaker(now_ms):
            _log_breaker(reading, after.breaker(now_ms))
        self._waiting.append(reading)
        self._has_news = self._has_news or is_news

    def _model(self, model_id: ModelId) -> _Model:
        model = self._models.setdefault(model_id, _Model())
        self._models.move_to_end(model_id)
        while len(self._models) > MAX_MODELS:
            self._models.popitem(last=False)
        return model


def _log_breaker(reading: Reading, breaker: Breaker) -> None:
    event: str
    level: Level
    event, level = ("breaker_opened", "warning") if breaker is Breaker.OPEN else ("breaker_closed", "info")
    log_event(event, level=level, provider=reading.provider, model_id=reading.model_id)


def _wait_ms(health: OfferHealth, now_ms: int) -> int:
    if health.breaker(now_ms) is Breaker.CLOSED:
        return 0
    return max(health.open_until_ms, health.probe_until_ms) - now_ms
