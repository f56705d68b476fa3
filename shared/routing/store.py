"""The health of providers as the instances share it: told and heard along with the limiter's calls to Redis."""

from collections.abc import Collection, Mapping, Sequence
from importlib import resources

import msgspec

from shared.clients.redis import Redis, RedisUnavailable, Rider, Script
from shared.core.ids import ModelId, ProviderSlug
from shared.core.log import log_event
from shared.routing.health import ProviderHealth
from shared.routing.offer_health import (
    FAILURES_TO_OPEN,
    NEWEST_WEIGHT,
    OPEN_MS,
    PROBE_MS,
    OfferHealth,
    Pair,
)

_Told = list[tuple[str, str, int]]


class Look:
    """What one request hears of those who may serve it, and whom it may probe.

    rider: asks Redis, in the call that the limiter makes anyway; None where what is known is fresh
    """

    def __init__(
        self, memory: ProviderHealth, script: Script, models: Sequence[ModelId], providers: Sequence[ProviderSlug]
    ) -> None:
        self._memory = memory
        self._asked = tuple(dict.fromkeys(models))
        self._models = memory.models_behind(self._asked)
        self._providers = providers
        self._probes: set[Pair] = set()
        self._is_heard = False
        self.rider: Rider | None = None
        if any(memory.is_stale(model_id, providers) for model_id in self._models):
            arguments: tuple[str | int, ...] = (memory.now_ms, PROBE_MS, len(self._models), *self._models, *providers)
            self.rider = Rider(script, (), arguments, self._hear)

    def note_offered(self, models: Collection[ModelId]) -> None:
        """Hear of these, too, when the same is asked for again: a model may go by other names than its own."""
        self._memory.note_offered(self._asked, models)

    def take_probes(self) -> set[Pair]:
        """Return whom this request alone may probe; without Redis this instance says so."""
        if self.rider is not None and not self._is_heard:
            self._probes |= self._memory.claim_probes(self._models, self._providers)
        taken, self._probes = self._probes, set()
        return taken

    def give_back(self) -> None:
        """Let others probe: the request came to nothing."""
        for pair in self._probes:
            self._memory.give_back_probe(*pair)
        self._probes = set()

    def _hear(self, answer: object) -> None:
        try:
            told = msgspec.convert(answer, list[_Told], strict=False)
            if len(told) != len(self._models):
                raise ValueError("the look script did not answer for each model")
            heard = [_read_records(records) for records in told]
        except ValueError as error:
            log_event("provider_health_unreadable", level="warning", reason=str(error))
            return
        self._is_heard = True
        for model_id, records, health in zip(self._models, told, heard, strict=True):
            self._memory.learn(model_id, health, is_whole=True)
            self._probes |= {(ProviderSlug(slug), model_id) for slug, _, may_probe in records if may_probe}


class SharedHealth:
    """Tells the other instances what this one has seen, and hears what they have.

    policy  open: without Redis the instance goes on with its own memory, and nobody waits for it
    """

    def __init__(self, redis: Redis, memory: ProviderHealth) -> None:
        self._redis = redis
        self._memory = memory
        self._look_script = _load_script("look.lua")
        self._report_script = _load_script("report.lua")

    def look(self, models: Sequence[ModelId], providers: Sequence[ProviderSlug]) -> Look:
        """Return a request's look at the models that it names."""
        return Look(self._memory, self._look_script, models, providers)

    def report(self) -> Rider | None:
        """Return what is to go along with the next call; None where there is nothing to tell."""
        readings = self._memory.take_waiting()
        if not readings:
            return None
        words = [word for one in readings for word in (one.model_id, one.provider, one.event, f"{one.number:.1f}")]
        limits = (self._memory.now_ms, FAILURES_TO_OPEN, OPEN_MS, str(NEWEST_WEIGHT))
        return Rider(self._report_script, (), (*limits, *words), self._hear)

    async def send_news(self) -> None:
        """Tell at once what changes where others' requests go: the request that saw it is under way for long.

        policy  open: never raises for Redis, logs
        """
        if not self._memory.has_news or (rider := self.report()) is None:
            return
        try:
            rider.take(await self._redis.run_script(rider.script, keys=rider.keys, arguments=rider.arguments))
        except RedisUnavailable as error:
            log_event("provider_health_not_told", level="warning", reason=str(error))

    def _hear(self, answer: object) -> None:
        try:
            for model_id, slug, text in msgspec.convert(answer, list[tuple[str, str, str]]):
                told = {ProviderSlug(slug): OfferHealth.read(text)}
                self._memory.learn(ModelId(model_id), told, is_whole=False)
        except ValueError as error:
            log_event("provider_health_unreadable", level="warning", reason=str(error))


def _read_records(records: _Told) -> Mapping[ProviderSlug, OfferHealth]:
    return {ProviderSlug(slug): OfferHealth.read(text) for slug, text, _ in records}


def _load_script(name: str) -> Script:
    folder = resources.files("shared.routing")
    return Script.from_text(
        "\n".join(folder.joinpath(part).read_text(encoding="utf-8") for part in ("record.lua", name))
    )
