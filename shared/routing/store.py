"""The health of providers as the instances share it: told and heard along with the limiter's calls to Redis."""

from collections.abc import Collection, Sequence
from importlib import resources
from typing import Literal

import msgspec

from shared.clients.redis import Redis, RedisUnavailable, Rider, Script
from shared.core.ids import ModelId, ProviderSlug
from shared.core.log import log_event
from shared.routing.health import ProviderHealth, Turn
from shared.routing.offer_health import (
    FAILURES_TO_OPEN,
    LONG_BEFORE_MS,
    NEWEST_WEIGHT,
    OPEN_MS,
    PROBE_MS,
    OfferHealth,
    Reading,
)

_Claimed = tuple[Literal["ask", "probe", "wait", "unknown"], str]


class Look:
    """What one request hears of those who may serve it.

    rider: asks Redis, in the call that the limiter makes anyway; None where what is known is fresh
    """

    def __init__(self, memory: ProviderHealth, script: Script, models: Sequence[ModelId]) -> None:
        self._memory = memory
        self._asked = tuple(dict.fromkeys(models))
        self._models = memory.models_behind(self._asked)
        self.rider: Rider | None = None
        if any(memory.is_stale(model_id) for model_id in self._models):
            self.rider = Rider(script, (), (memory.now_ms, *self._models), self._hear)

    def note_offered(self, models: Collection[ModelId]) -> None:
        """Hear of these, too, when the same is asked for again: a model may go by other names than its own."""
        self._memory.note_offered(self._asked, models)

    def _hear(self, answer: object) -> None:
        now_ms = self._memory.now_ms
        try:
            told = msgspec.convert(answer, list[list[tuple[str, str]]])
            if len(told) != len(self._models):
                raise ValueError("the look script did not answer for each model")
            heard = [{ProviderSlug(slug): OfferHealth.read(text, now_ms) for slug, text in records} for records in told]
        except ValueError as error:
            log_event("provider_health_unreadable", level="warning", reason=str(error))
            return
        for model_id, health in zip(self._models, heard, strict=True):
            self._memory.learn(model_id, health, is_whole=True)


class SharedHealth:
    """Tells the other instances what this one has seen, and hears what they have.

    policy  open: without Redis the instance goes on with its own memory, and nobody waits for it
    """

    def __init__(self, redis: Redis, memory: ProviderHealth) -> None:
        self._redis = redis
        self._memory = memory
        self._look_script = load_script("look.lua")
        self._claim_script = load_script("claim.lua")
        self._report_script = load_script("report.lua")

    def look(self, models: Sequence[ModelId]) -> Look:
        """Return a request's look at the models that it names."""
        return Look(self._memory, self._look_script, models)

    async def take_turn(self, provider: ProviderSlug, model_id: ModelId) -> Turn:
        """Say whether a request that has come to a provider asks it now; whoever is told PROBE must say how that went.

        Redis is asked of a breaker that is half open alone, so that one request of all instances probes.
        policy  open: without Redis one request of this instance does, and is told ASK: the probe may be another
                instance's, which nobody else gives back
        """
        turn = self._memory.take_turn(provider, model_id)
        return await self._claim(provider, model_id) if turn is Turn.PROBE else turn

    def report(self) -> Rider | None:
        """Return what is to go along with the next call; None where there is nothing to tell."""
        readings = self._memory.untold.take(self._memory.lost_states())
        if not readings:
            return None
        limits = (self._memory.now_ms, FAILURES_TO_OPEN, OPEN_MS, str(NEWEST_WEIGHT), LONG_BEFORE_MS)
        return Rider(
            self._report_script,
            (),
            (*limits, *(word for reading in readings for word in _words(reading))),
            take=lambda answer: self._hear(readings, answer),
            miss=lambda: self._memory.untold.note_lost(readings),
        )

    async def send_news(self) -> None:
        """Tell at once what changes where others' requests go: the request that saw it is under way for long.

        policy  open: never raises for Redis, logs; of what was not taken the next call tells who is shut
        """
        if not self._memory.untold.has_news or (rider := self.report()) is None:
            return
        is_told = False
        try:
            answer = await self._redis.run_script(rider.script, keys=rider.keys, arguments=rider.arguments)
            is_told = True
        except RedisUnavailable as error:
            log_event("provider_health_not_told", level="warning", reason=str(error))
        finally:
            if not is_told:
                rider.miss()
        if is_told:
            rider.take(answer)

    async def _claim(self, provider: ProviderSlug, model_id: ModelId) -> Turn:
        now_ms = self._memory.now_ms
        arguments = (now_ms, PROBE_MS, model_id, provider)
        try:
            answer = await self._redis.run_script(self._claim_script, keys=(), arguments=arguments)
            what, text = msgspec.convert(answer, _Claimed)
            if what == "unknown":
                return Turn.PROBE
            self._memory.learn(model_id, {provider: OfferHealth.read(text, now_ms)}, is_whole=False)
        except (RedisUnavailable, ValueError) as error:
            log_event("probe_not_claimed", level="warning", reason=str(error))
            return Turn.ASK
        return Turn(what)

    def _hear(self, readings: tuple[Reading, ...], answer: object) -> None:
        self._memory.untold.note_told(readings)
        now_ms = self._memory.now_ms
        try:
            for model_id, slug, text in msgspec.convert(answer, list[tuple[str, str, str]]):
                told = {ProviderSlug(slug): OfferHealth.read(text, now_ms)}
                self._memory.learn(ModelId(model_id), told, is_whole=False)
        except ValueError as error:
            log_event("provider_health_unreadable", level="warning", reason=str(error))


def _words(reading: Reading) -> tuple[str | int, ...]:
    return reading.model_id, reading.provider, reading.event, f"{reading.number:.1f}", reading.asked_ms


def load_script(name: str) -> Script:
    """Return one of this package's scripts, with what all of them know of a record."""
    folder = resources.files("shared.routing")
    return Script.from_text(
        "\n".join(folder.joinpath(part).read_text(encoding="utf-8") for part in ("record.lua", name))
    )
