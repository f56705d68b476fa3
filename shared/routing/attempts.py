"""Which provider is asked first, and which next when it fails: pure rules."""

import math
from collections.abc import Collection, Sequence
from collections.abc import Set as AbstractSet

from shared.core.ids import ProviderSlug
from shared.routing.health import ProviderHealth
from shared.routing.offer_health import Breaker, Pair
from shared.routing.types import Preferences, RoutableOffer, Sort

# Four providers that fail in a row are an outage of ours or of the model; a fifth would only lengthen the wait.
MAX_ATTEMPTS = 4


def allowed_providers(preferences: Preferences, available: Collection[ProviderSlug]) -> tuple[ProviderSlug, ...]:
    """Return which of the available providers the caller lets serve, so that the hold is sized for those alone."""
    allowed = [slug for slug in available if preferences.only is None or slug in preferences.only]
    if preferences.order and not preferences.allow_fallbacks:
        allowed = [slug for slug in allowed if slug in preferences.order]
    return tuple(slug for slug in allowed if slug not in preferences.ignore)


def plan_attempts[Offer: RoutableOffer](
    offers: Sequence[Offer], preferences: Preferences, health: ProviderHealth, probes: AbstractSet[Pair] = frozenset()
) -> tuple[Offer, ...]:
    """Order the offers into attempts: the caller's models in turn, and within a model

    first the providers named in `order`, then those that do not limit us, before those that do, by `sort`. A provider
    whose breaker is not closed is not asked, but for a probe that this request may make; none is left where all fail.
    """
    models = list(dict.fromkeys(offer.model_id for offer in offers))
    ranked = sorted(
        (offer for offer in offers if _may_be_asked(offer, health, probes)),
        key=lambda offer: (
            models.index(offer.model_id),
            _position(offer.provider, preferences.order),
            health.of(offer.provider, offer.model_id).limited_until_ms > health.now_ms,
            _sort_value(offer, preferences.sort, health),
            offer.provider,
        ),
    )
    attempts = ranked if preferences.allow_fallbacks else _first_of_each_model(ranked, preferences)
    return tuple(attempts[:MAX_ATTEMPTS])


def _may_be_asked(offer: RoutableOffer, health: ProviderHealth, probes: AbstractSet[Pair]) -> bool:
    pair = (offer.provider, offer.model_id)
    return pair in probes or health.of(*pair).breaker(health.now_ms) is Breaker.CLOSED


def _position(provider: ProviderSlug, order: Sequence[ProviderSlug]) -> int:
    return order.index(provider) if provider in order else len(order)


def _sort_value(offer: RoutableOffer, sort: Sort, health: ProviderHealth) -> float:
    known = health.of(offer.provider, offer.model_id)
    match sort:
        case Sort.PRICE:
            return offer.quote_nanos
        case Sort.LATENCY:
            # Who is not known comes first, so that it gets to be.
            return known.latency(health.now_ms) or 0.0
        case Sort.THROUGHPUT:
            return -(known.throughput(health.now_ms) or math.inf)


def _first_of_each_model[Offer: RoutableOffer](offers: Sequence[Offer], preferences: Preferences) -> list[Offer]:
    # Without fallbacks an explicit order is still the caller's own list of fallbacks.
    if preferences.order:
        return list(offers)
    firsts: dict[str, Offer] = {}
    for offer in offers:
        firsts.setdefault(offer.model_id, offer)
    return list(firsts.values())
