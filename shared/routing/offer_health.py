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


class Reading(msgspec.Struct, frozen=True):
    """One event.

    number: of what was begun the ms until then, of a limit the ms to keep away, of what was written tokens per second,
    else 0
    """

    provider: ProviderSlug
    model_id: ModelId
    event: Event
    number: float = 0.0

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

    @classmethod
    def read(cls, text: str, now_ms: int) -> "OfferHealth":
        """Read a record as record.lua writes it; by whoever's clock that was, it shuts nobody out for longer.

        raises  ValueError
        """
        numbers = [float(number) for number in text.split()]
        if len(numbers) != len(cls.__struct_fields__):
            raise ValueError("a record of health has eight numbers")
        failures, open_until, probe_until, limited_until, latency, latency_at, rate, rate_at = numbers
        return cls(
            int(failures),
            min(int(open_until), now_ms + OPEN_MS),
            min(int(probe_until), now_ms + PROBE_MS),
            min(int(limited_until), now_ms + MAX_LIMITED_MS),
            latency,
            min(int(latency_at), now_ms),
            rate,
            min(int(rate_at), now_ms),
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
                return self._after_beginning(reading.number, now_ms)
            case Event.ANSWERED:
                return msgspec.structs.replace(self, failures=0, open_until_ms=0, probe_until_ms=0, limited_until_ms=0)
            case Event.FAILED:
                return self._after_failure(now_ms)
            case Event.LIMITED:
                limited_until_ms = now_ms + int(reading.number)
                return msgspec.structs.replace(self, probe_until_ms=0, limited_until_ms=limited_until_ms)
            case Event.WRITTEN:
                rate = _average(self.throughput(now_ms), reading.number)
                return msgspec.structs.replace(self, tokens_per_second=rate, tokens_per_second_at_ms=now_ms)
            case Event.UNPROBED:
                return msgspec.structs.replace(self, probe_until_ms=0)
            case _:
                assert_never(reading.event)

    def _after_beginning(self, first_byte_ms: float, now_ms: int) -> "OfferHealth":
        return msgspec.structs.replace(
            self,
            # A probe that has begun lets the others in. Its failures stay until an answer is whole: one more shuts it.
            open_until_ms=self.open_until_ms if self.open_until_ms > now_ms else 0,
            probe_until_ms=0,
            limited_until_ms=0,
            latency_ms=_average(self.latency(now_ms), first_byte_ms),
            latency_at_ms=now_ms,
        )

    def _after_failure(self, now_ms: int) -> "OfferHealth":
        failures = self.failures + 1
        # One that was under way when it opened does not keep it open for longer.
        opens = failures >= FAILURES_TO_OPEN and self.open_until_ms <= now_ms
        open_until_ms = now_ms + OPEN_MS if opens else self.open_until_ms
        return msgspec.structs.replace(self, failures=failures, probe_until_ms=0, open_until_ms=open_until_ms)


def _is_kept(at_ms: int, now_ms: int) -> bool:
    return at_ms > 0 and now_ms - at_ms <= KEPT_MS


def _average(previous: float | None, newest: float) -> float:
    return newest if previous is None else previous + NEWEST_WEIGHT * (newest - previous)
