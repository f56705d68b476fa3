from dataclasses import dataclass

import pytest

from shared.core.ids import ModelId, ProviderSlug
from shared.core.money import Nanos
from shared.routing.attempts import plan_attempts
from shared.routing.health import MAX_TRIES, ProviderHealth
from shared.routing.offer_health import FAILURES_TO_OPEN, KEPT_MS, OPEN_MS
from shared.routing.types import Preferences, Sort
from tests.shared.limits.support import Clock

MODEL, FALLBACK = ModelId("maker/model"), ModelId("maker/fallback")
CHEAP = Nanos(1)
A, B, C = ProviderSlug("chutes"), ProviderSlug("openrouter"), ProviderSlug("portkey")


@dataclass(frozen=True, slots=True)
class Offer:
    provider: ProviderSlug
    quote_nanos: Nanos = CHEAP
    model_id: ModelId = MODEL


OFFERS = (Offer(A, Nanos(1)), Offer(B, Nanos(2)), Offer(C, Nanos(3)))


@pytest.fixture
def health(clock: Clock) -> ProviderHealth:
    return ProviderHealth(clock)


def open_breaker(health: ProviderHealth, provider: ProviderSlug, model_id: ModelId = MODEL) -> None:
    for _ in range(FAILURES_TO_OPEN):
        health.record_failure(provider, model_id)


def planned(
    health: ProviderHealth, *, sort: Sort = Sort.PRICE, measures: bool = True, **preferences: object
) -> list[str]:
    wanted = Preferences(sort=sort, **preferences)  # type: ignore[arg-type]
    return [offer.provider for offer in plan_attempts(OFFERS, wanted, health, measures=measures)]


def test_a_provider_whose_breaker_is_open_is_not_asked(health: ProviderHealth, clock: Clock) -> None:
    open_breaker(health, A)
    assert planned(health) == [B, C]
    assert planned(health, order=(A, C)) == [C, B]
    assert planned(health, allow_fallbacks=False) == [B]
    clock.now_ms += OPEN_MS
    health.take_turn(A, MODEL)
    # Another request probes it.
    assert planned(health) == [B, C]
    health.record_answer(A, MODEL, took_ms=0)
    assert planned(health) == [A, B, C]


def test_a_breaker_is_one_model_s(health: ProviderHealth) -> None:
    open_breaker(health, A, FALLBACK)
    assert planned(health) == [A, B, C]
    offers = (*OFFERS, Offer(A, model_id=FALLBACK), Offer(B, model_id=FALLBACK))
    attempts = plan_attempts(offers, Preferences(), health)
    assert [(offer.model_id, offer.provider) for offer in attempts][-1] == (FALLBACK, B)


def test_where_all_are_open_nobody_is_asked_until_they_may_be_probed(health: ProviderHealth, clock: Clock) -> None:
    for provider in (A, B, C):
        open_breaker(health, provider)
    assert planned(health) == []
    clock.now_ms += OPEN_MS
    assert planned(health) == [A, B, C]
    health.take_turn(B, MODEL)
    assert planned(health) == [A, C]


def test_a_request_with_one_try_probes_nobody_while_another_is_well(health: ProviderHealth, clock: Clock) -> None:
    open_breaker(health, A)
    clock.now_ms += OPEN_MS
    assert planned(health) == [A, B, C]
    assert planned(health, allow_fallbacks=False) == [B]
    open_breaker(health, B)
    open_breaker(health, C)
    assert planned(health, allow_fallbacks=False) == [A]


def test_a_provider_that_limits_us_comes_last_for_as_long_as_it_says(health: ProviderHealth, clock: Clock) -> None:
    health.record_limit(A, MODEL, retry_after_s=7)
    assert planned(health) == [B, C, A]
    clock.now_ms += 7_000
    assert planned(health) == [A, B, C]


def test_latency_and_throughput_sort_who_is_known_and_try_who_is_not(health: ProviderHealth) -> None:
    for provider, first_byte_ms, tokens in ((A, 300, 10), (B, 100, 20), (C, 200, 30)):
        assert planned(health, sort=Sort.LATENCY)[0] == provider
        health.record_beginning(provider, MODEL, first_byte_ms=first_byte_ms)
        health.record_throughput(provider, MODEL, tokens=tokens, seconds=1)
    assert planned(health) == [A, B, C]
    assert planned(health, sort=Sort.LATENCY) == [B, C, A]
    assert planned(health, sort=Sort.THROUGHPUT) == [C, B, A]


def test_who_was_slow_long_ago_is_tried_again(health: ProviderHealth, clock: Clock) -> None:
    health.record_beginning(C, MODEL, first_byte_ms=9_000)
    clock.now_ms += KEPT_MS
    for provider, first_byte_ms in ((A, 300), (B, 200)):
        health.record_beginning(provider, MODEL, first_byte_ms=first_byte_ms)
    assert planned(health, sort=Sort.LATENCY) == [B, A, C]
    clock.now_ms += 1
    assert planned(health, sort=Sort.LATENCY) == [C, B, A]


@pytest.mark.parametrize("sort", [Sort.LATENCY, Sort.THROUGHPUT])
def test_who_is_not_known_comes_last_where_the_answer_would_not_tell(health: ProviderHealth, sort: Sort) -> None:
    assert planned(health, sort=sort, measures=False) == [A, B, C]
    health.record_beginning(C, MODEL, first_byte_ms=9_000)
    health.record_throughput(C, MODEL, tokens=1, seconds=1)
    assert planned(health, sort=sort) == [A, B, C]
    assert planned(health, sort=sort, measures=False) == [C, A, B]


def test_who_cannot_be_measured_is_tried_so_often_and_again_after_a_while(health: ProviderHealth, clock: Clock) -> None:
    health.record_beginning(B, MODEL, first_byte_ms=100)
    for _ in range(MAX_TRIES):
        assert planned(health, sort=Sort.LATENCY) == [A, C, B]
        health.note_try(A, MODEL)
    assert planned(health, sort=Sort.LATENCY) == [C, B, A]
    clock.now_ms += KEPT_MS + 1
    assert planned(health, sort=Sort.LATENCY)[0] == A
