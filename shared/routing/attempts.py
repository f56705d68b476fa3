"""Which provider is asked first, and which next when it fails: pure rules."""

from collections.abc import Collection, Sequence
from typing import assert_never

from shared.core.ids import ProviderSlug
from shared.routing.health import ProviderHealth
from shared.routing.offer_health import Breaker
from shared.routing.types import Preferences, RoutableOffer, Sort


def allowed_providers(preferences: Preferences, available: Collection[ProviderSlug]) -> tuple[ProviderSlug, ...]:
    """Return which of the available providers the caller lets serve, so that the hold is sized for those alone."""
    allowed = [slug for slug in available if preferences.only is None or slug in preferences.only]
    if preferences.order and not preferences.allow_fallbacks:
        allowed = [slug for slug in allowed if slug in preferences.order]
    return tuple(slug for slug in allowed if slug not in preferences.ignore)


def plan_attempts[Offer: RoutableOffer](
    offers: Sequence[Offer], preferences: Preferences, health: ProviderHealth, *, measures: bool = True
) -> tuple[Offer, ...]:
    """Order the offers into attempts: the caller's models in turn, and within a model

    first the providers named in `order`, then those that do not limit us, before those that do, by `sort`. A provider
    whose breaker is open is not among them, nor one that another request is probing; one that waits to be probed has
    its place, to be asked by whoever gets the probe. None is left where all fail.
    measures: the request's answer will say how soon its provider begins and how fast it writes
    """
    models = list(dict.fromkeys(offer.model_id for offer in offers))
    ranked = sorted(
        (offer for offer in offers if _may_be_asked(offer, health)),
        key=lambda offer: (
            models.index(offer.model_id),
            _position(offer.provider, preferences.order),
            health.of(offer.provider, offer.model_id).limited_until_ms > health.now_ms,
            _sort_value(offer, preferences.sort, health, measures=measures),
            offer.quote_nanos,
            offer.provider,
        ),
    )
    return tuple(ranked if preferences.allow_fallbacks else _first_of_each_model(ranked, preferences, health))


def _may_be_asked(offer: RoutableOffer, health: ProviderHealth) -> bool:
    return _is_closed(offer, health) or health.of(offer.provider, offer.model_id).awaits_probe(health.now_ms)


def _is_closed(offer: RoutableOffer, health: ProviderHealth) -> bool:
    return health.of(offer.provider, offer.model_id).breaker(health.now_ms) is Breaker.CLOSED


def _position(provider: ProviderSlug, order: Sequence[ProviderSlug]) -> int:
    return order.index(provider) if provider in order else len(order)


def _sort_value(offer: RoutableOffer, sort: Sort, health: ProviderHealth, *, measures: bool) -> tuple[int, float]:
    known = health.of(offer.provider, offer.model_id)
    match sort:
        case Sort.PRICE:
            return 0, 0.0
        case Sort.LATENCY:
            measured = known.latency(health.now_ms)
        case Sort.THROUGHPUT:
            rate = known.throughput(health.now_ms)
            measured = None if rate is None else -rate
        case _:
            assert_never(sort)
    if measured is not None:
        return 1, measured
    # Who is not known comes first, so that it gets to be, but only where it does.
    return 0 if measures and health.may_be_tried(offer.provider, offer.model_id) else 2, 0.0


def _first_of_each_model[Offer: RoutableOffer](
    offers: Sequence[Offer], preferences: Preferences, health: ProviderHealth
) -> list[Offer]:
    # Without fallbacks an explicit order is still the caller's own list of fallbacks.
    if preferences.order:
        return list(offers)
    firsts: dict[str, Offer] = {}
    # Who has but one try does not make it where it is not known whether the provider is back.
    for offer in sorted(offers, key=lambda offer: not _is_closed(offer, health)):
        firsts.setdefault(offer.model_id, offer)
    return [offer for offer in offers if firsts[offer.model_id] is offer]
