"""What is known of one model at one provider, and what becomes of it with each attempt: pure rules.

The same rules are in record.lua, report.lua and claim.lua, by which the instances share them.
"""

from enum import StrEnum
from typing import assert_never

import msgspec

from shared.core.ids import ModelId, ProviderSlug

FAILURES_TO_OPEN = 5
OPEN_MS = 30_000
# A probe that has not come back by then was its instance's last.
PROBE_MS = 30_000
# An answer that was asked for so long before the last failure says nothing of the time since: in an outage streams that
# began before it still end well. One that was asked for later does, or few failures among many answers were a row.
LONG_BEFORE_MS = 30_000
# A provider that limits us may ask for an hour; it is looked at again sooner.
MAX_LIMITED_MS = 60_000
# The weight of the newest reading: about the last ten requests count.
NEWEST_WEIGHT = 0.2
# Who has not been asked for so long is asked anew: whoever was slow once would be so for ever, and whoever is never the
# first to be asked would never be probed.
KEPT_MS = 600_000

type Pair = tuple[ProviderSlug, ModelId]


class Breaker(StrEnum):
    """Whether a provider is asked: always, by nobody, or by one request at a time."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


class Event(StrEnum):
    """What became of an attempt, as report.lua names it."""

    BEGUN = "begun"
    ANSWERED = "answered"
    FAILED = "failed"
    LIMITED = "limited"
    WRITTEN = "written"
    UNPROBED = "unprobed"
    OPENED = "opened"


class Reading(msgspec.Struct, frozen=True):
    """One event.

    number: of what was begun the ms until then, of a limit the ms to keep away, of what was written tokens per second,
    of what is open until when, else 0
    units   asked_ms: when what has begun or was answered was asked for, in ms since the epoch
    """

    provider: ProviderSlug
    model_id: ModelId
    event: Event
    number: float = 0.0
    asked_ms: int = 0

    @property
    def pair(self) -> Pair:
        """What it is about."""
        return self.provider, self.model_id


class OfferHealth(msgspec.Struct, frozen=True):
    """How a provider does with a model; an average without a time was never read.

    units   latency_ms: to an answer's beginning; times are ms since the epoch, 0 for never
    """

    failures: int = 0
    open_until_ms: int = 0
    probe_until_ms: int = 0
    limited_until_ms: int = 0
    latency_ms: float = 0.0
    latency_at_ms: int = 0
    tokens_per_second: float = 0.0
    tokens_per_second_at_ms: int = 0
    failed_at_ms: int = 0

    @classmethod
    def read(cls, text: str, now_ms: int) -> "OfferHealth":
        """Read a record as record.lua writes it; by whoever's clock that was, it shuts nobody out for longer.

        raises  ValueError
        """
        numbers = [float(number) for number in text.split()]
        if len(numbers) != len(cls.__struct_fields__):
            raise ValueError("a record of health has nine numbers")
        failures, open_until, probe_until, limited_until, latency, latency_at, rate, rate_at, failed_at = numbers
        return cls(
            int(failures),
            min(int(open_until), now_ms + OPEN_MS),
            min(int(probe_until), now_ms + PROBE_MS),
            min(int(limited_until), now_ms + MAX_LIMITED_MS),
            latency,
            min(int(latency_at), now_ms),
            rate,
            min(int(rate_at), now_ms),
            min(int(failed_at), now_ms),
        )

    def breaker(self, now_ms: int) -> Breaker:
        """Tell the breaker's state."""
        if self.open_until_ms <= now_ms - KEPT_MS:
            return Breaker.CLOSED
        return Breaker.OPEN if self.open_until_ms > now_ms else Breaker.HALF_OPEN

    def awaits_probe(self, now_ms: int) -> bool:
        """Tell whether a request may try it, and none is trying."""
        return self.breaker(now_ms) is Breaker.HALF_OPEN and self.probe_until_ms <= now_ms

    def latency(self, now_ms: int) -> float | None:
        """Return the usual time to an answer's beginning, None where it is not known any more."""
        return self.latency_ms if _is_kept(self.latency_at_ms, now_ms) else None

    def throughput(self, now_ms: int) -> float | None:
        """Return the usual output rate, None where it is not known any more."""
        return self.tokens_per_second if _is_kept(self.tokens_per_second_at_ms, now_ms) else None

    def after(self, reading: Reading, now_ms: int) -> "OfferHealth":
        """Return what is known after one more reading."""
        match reading.event:
            case Event.BEGUN:
                return self._after_beginning(reading, now_ms)
            case Event.ANSWERED:
                return self._after_answer(reading.asked_ms)
            case Event.FAILED:
                return self._after_failure(now_ms)
            case Event.LIMITED | Event.UNPROBED:
                is_limited = reading.event is Event.LIMITED
                limited_until_ms = now_ms + int(reading.number) if is_limited else self.limited_until_ms
                return msgspec.structs.replace(self, probe_until_ms=0, limited_until_ms=limited_until_ms)
            case Event.WRITTEN:
                rate = _average(self.throughput(now_ms), reading.number)
                return msgspec.structs.replace(self, tokens_per_second=rate, tokens_per_second_at_ms=now_ms)
            case Event.OPENED:
                return self._after_opening(int(reading.number), now_ms)
            case _:
                assert_never(reading.event)

    def _after_beginning(self, reading: Reading, now_ms: int) -> "OfferHealth":
        measured = msgspec.structs.replace(
            self, latency_ms=_average(self.latency(now_ms), reading.number), latency_at_ms=now_ms
        )
        if self.open_until_ms > now_ms or reading.asked_ms < self._opened_at_ms:
            return measured
        # A probe that has begun lets the others in. Its failures stay until an answer is whole: one more shuts it.
        return msgspec.structs.replace(measured, open_until_ms=0, probe_until_ms=0)

    def _after_answer(self, asked_ms: int) -> "OfferHealth":
        if asked_ms < max(self._opened_at_ms, self.failed_at_ms - LONG_BEFORE_MS):
            return self
        return msgspec.structs.replace(self, failures=0, open_until_ms=0, probe_until_ms=0)

    def _after_failure(self, now_ms: int) -> "OfferHealth":
        failures = self.failures + 1
        # One that was under way when it opened does not keep it open for longer.
        opens = failures >= FAILURES_TO_OPEN and self.open_until_ms <= now_ms
        return msgspec.structs.replace(
            self,
            failures=failures,
            open_until_ms=now_ms + OPEN_MS if opens else self.open_until_ms,
            probe_until_ms=0,
            failed_at_ms=now_ms,
        )

    def _after_opening(self, open_until_ms: int, now_ms: int) -> "OfferHealth":
        """Return what is known where an instance says that it is shut until then, however often it says so."""
        if open_until_ms <= now_ms:
            return self
        return msgspec.structs.replace(
            self,
            failures=max(self.failures, FAILURES_TO_OPEN),
            open_until_ms=max(self.open_until_ms, open_until_ms),
            failed_at_ms=max(self.failed_at_ms, open_until_ms - OPEN_MS),
        )

    @property
    def _opened_at_ms(self) -> int:
        return self.open_until_ms - OPEN_MS


def _is_kept(at_ms: int, now_ms: int) -> bool:
    return at_ms > 0 and now_ms - at_ms <= KEPT_MS


def _average(previous: float | None, newest: float) -> float:
    return newest if previous is None else previous + NEWEST_WEIGHT * (newest - previous)
