"""What this instance knows of each provider: who fails, how soon it answers, how fast it writes."""

from collections import OrderedDict
from collections.abc import Collection, Mapping
from enum import StrEnum

import msgspec

from shared.core.clock import ClockMs
from shared.core.ids import ModelId, ProviderSlug
from shared.core.log import Level, log_event
from shared.providers.simulated import SIMULATED
from shared.routing.offer_health import (
    KEPT_MS,
    MAX_LIMITED_MS,
    PROBE_MS,
    Breaker,
    Event,
    OfferHealth,
    Pair,
    Reading,
)
from shared.routing.untold import Untold

# For how long what the instances share is not asked for again.
FRESH_MS = 2_000
# A client names models that there are not; this bounds what is remembered of them.
MAX_MODELS = 4_096
DEFAULT_LIMITED_S = 5
# Who is asked so often and still not measured, since it refuses or says too little, is not tried again for KEPT_MS.
MAX_TRIES = 5
_UNKNOWN = OfferHealth()


class Turn(StrEnum):
    """Whether a request may ask a provider now: as any other, alone to see whether it is back, or not."""

    ASK = "ask"
    PROBE = "probe"
    WAIT = "wait"


class _Tries(msgspec.Struct, frozen=True):
    since_ms: int
    count: int


class _Model(msgspec.Struct):
    """The providers of one model; told_at_ms: when the other instances' readings were told last."""

    told_at_ms: int | None = None
    by_provider: dict[ProviderSlug, OfferHealth] = {}
    tries: dict[ProviderSlug, _Tries] = {}


class ProviderHealth:
    """Breakers and running averages, by provider and model; a memory of hints, never of truth.

    It is this instance's own, and goes on alone when the others cannot be heard. untold: what they are to hear
    """

    def __init__(self, clock_ms: ClockMs) -> None:
        self._clock_ms = clock_ms
        self._models: OrderedDict[ModelId, _Model] = OrderedDict()
        self._offered: OrderedDict[tuple[ModelId, ...], tuple[ModelId, ...]] = OrderedDict()
        self.untold = Untold()

    @property
    def now_ms(self) -> int:
        """The time by which breakers open and close."""
        return self._clock_ms()

    def record_beginning(self, provider: ProviderSlug, model_id: ModelId, *, first_byte_ms: float) -> None:
        """Note how soon an answer began: a breaker that was half open closes, until the next failure."""
        now_ms = self._clock_ms()
        is_probe = self.of(provider, model_id).breaker(now_ms) is Breaker.HALF_OPEN
        asked_ms = now_ms - int(first_byte_ms)
        self._note(Reading(provider, model_id, Event.BEGUN, first_byte_ms, asked_ms), is_news=is_probe)

    def record_answer(self, provider: ProviderSlug, model_id: ModelId, *, took_ms: float) -> None:
        """Note an answer that came to its end: the breaker closes, and failures are counted anew.

        took_ms: since it was asked for; one that was asked for before the breaker opened says nothing of now
        """
        closes = self.of(provider, model_id).failures > 0
        asked_ms = self._clock_ms() - int(took_ms)
        self._note(Reading(provider, model_id, Event.ANSWERED, asked_ms=asked_ms), is_news=closes)

    def record_throughput(self, provider: ProviderSlug, model_id: ModelId, *, tokens: int, seconds: float) -> None:
        """Note how fast an answer was written."""
        if tokens > 0 and seconds > 0:
            self._note(Reading(provider, model_id, Event.WRITTEN, tokens / seconds), is_news=False)

    def record_failure(self, provider: ProviderSlug, model_id: ModelId) -> None:
        """Note a failure that is the provider's; enough of them in a row open the breaker for a while."""
        self._note(Reading(provider, model_id, Event.FAILED), is_news=True)

    def record_limit(self, provider: ProviderSlug, model_id: ModelId, *, retry_after_s: int | None) -> None:
        """Note that the provider has enough of us: it answers, so it is not shut out, but others are asked first."""
        limited_ms = min((retry_after_s or DEFAULT_LIMITED_S) * 1000, MAX_LIMITED_MS)
        self._note(Reading(provider, model_id, Event.LIMITED, limited_ms), is_news=True)

    def give_back_probe(self, provider: ProviderSlug, model_id: ModelId) -> None:
        """Let another request probe: this one's says nothing."""
        self._note(Reading(provider, model_id, Event.UNPROBED), is_news=True)

    def note_try(self, provider: ProviderSlug, model_id: ModelId) -> None:
        """Note that a request asks which may measure the provider."""
        model, now_ms = self._model(model_id), self._clock_ms()
        tries = model.tries.get(provider)
        if tries is None or not 0 <= now_ms - tries.since_ms <= KEPT_MS:
            tries = _Tries(now_ms, 0)
        model.tries[provider] = _Tries(tries.since_ms, tries.count + 1)

    def may_be_tried(self, provider: ProviderSlug, model_id: ModelId) -> bool:
        """Tell whether one that is not known is worth another try, ahead of those that are."""
        model = self._models.get(model_id)
        tries = None if model is None else model.tries.get(provider)
        is_of_late = tries is not None and 0 <= self._clock_ms() - tries.since_ms <= KEPT_MS
        return tries is None or not is_of_late or tries.count < MAX_TRIES

    def of(self, provider: ProviderSlug, model_id: ModelId) -> OfferHealth:
        """Return what is known of a model at a provider."""
        model = self._models.get(model_id)
        return _UNKNOWN if model is None else model.by_provider.get(provider, _UNKNOWN)

    def is_stale(self, model_id: ModelId) -> bool:
        """Tell whether the others should be heard on a model: it was long ago."""
        model, now_ms = self._models.get(model_id), self._clock_ms()
        return model is None or model.told_at_ms is None or not 0 <= now_ms - model.told_at_ms < FRESH_MS

    def learn(self, model_id: ModelId, told: Mapping[ProviderSlug, OfferHealth], *, is_whole: bool) -> None:
        """Believe what the instances have seen together; is_whole: who is not named there is known to nobody.

        What is not known to have been told to them comes on top, and a breaker of this instance's own stays as it is
        where they know nothing: Redis has lost it.
        """
        model, now_ms = self._model(model_id), self._clock_ms()
        untold = [one for one in (*self.untold.readings, *self.lost_states()) if one.model_id == model_id]
        kept = {
            slug: health
            for slug, health in model.by_provider.items()
            if slug not in told and (not is_whole or health.breaker(now_ms) is not Breaker.CLOSED)
        }
        model.by_provider = {**told, **kept}
        for reading in untold:
            if reading.provider not in kept:
                known = model.by_provider.get(reading.provider, _UNKNOWN)
                model.by_provider[reading.provider] = known.after(reading, now_ms)
        if is_whole:
            model.told_at_ms = now_ms

    def lost_states(self) -> tuple[Reading, ...]:
        """Return which breakers are open of which the others may not know."""
        known = [(pair, self.of(*pair)) for pair in self.untold.lost]
        return tuple(
            Reading(*pair, Event.OPENED, health.open_until_ms)
            for pair, health in known
            if health.breaker(self.now_ms) is Breaker.OPEN
        )

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

    def take_turn(self, provider: ProviderSlug, model_id: ModelId) -> Turn:
        """Say what this instance alone would let a request do; of those that come at once one probes."""
        health, now_ms = self.of(provider, model_id), self._clock_ms()
        if health.breaker(now_ms) is Breaker.CLOSED:
            return Turn.ASK
        if not health.awaits_probe(now_ms):
            return Turn.WAIT
        claimed = msgspec.structs.replace(health, probe_until_ms=now_ms + PROBE_MS)
        self._model(model_id).by_provider[provider] = claimed
        return Turn.PROBE

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
        self.untold.add(reading, is_news=is_news)

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
