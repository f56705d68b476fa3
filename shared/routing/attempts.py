"""Which provider is asked first, and which next when it fails: pure rules."""

from collections.abc import Collection, Sequence

from shared.core.ids import ProviderSlug
from shared.routing.health import ProviderHealth
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
    offers: Sequence[Offer], preferences: Preferences, health: ProviderHealth
) -> tuple[Offer, ...]:
    """Order the offers into attempts: the caller's models in turn, and within a model

    first the providers named in `order`, then those that answer, before those whose breaker is open, by `sort`.
    """
    models = list(dict.fromkeys(offer.model_id for offer in offers))
    ranked = sorted(
        offers,
        key=lambda offer: (
            models.index(offer.model_id),
            _position(offer.provider, preferences.order),
            health.is_open(offer.provider, offer.model_id),
            _sort_value(offer, preferences.sort, health),
            offer.provider,
        ),
    )
    attempts = ranked if preferences.allow_fallbacks else _first_of_each_model(ranked, preferences)
    return tuple(attempts[:MAX_ATTEMPTS])


def _position(provider: ProviderSlug, order: Sequence[ProviderSlug]) -> int:
    return order.index(provider) if provider in order else len(order)


def _sort_value(offer: RoutableOffer, sort: Sort, health: ProviderHealth) -> float:
    match sort:
        case Sort.PRICE:
            return offer.quote_nanos
        case Sort.LATENCY:
            return health.latency_ms(offer.provider, offer.model_id)
        case Sort.THROUGHPUT:
            return -health.tokens_per_second(offer.provider, offer.model_id)


def _first_of_each_model[Offer: RoutableOffer](offers: Sequence[Offer], preferences: Preferences) -> list[Offer]:
    # Without fallbacks an explicit order is still the caller's own list of fallbacks.
    if preferences.order:
        return list(offers)
    firsts: dict[str, Offer] = {}
    for offer in offers:
        firsts.setdefault(offer.model_id, offer)
    return list(firsts.values())
