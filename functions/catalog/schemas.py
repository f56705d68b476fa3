"""What the catalog answers: models as OpenAI's clients parse them and OpenRouter's describe them."""

from collections.abc import Sequence
from math import ceil
from typing import Literal

import msgspec
from pydantic import BaseModel

from shared.catalog.types import ImagePrice, LongContext, Model, ModelOffer, Rates
from shared.core.money import Nanos, format_dollars
from shared.providers.record import Provider
from shared.routing.offer_health import Breaker, OfferHealth
from shared.routing.records import HealthReport, OpenBreaker, ProviderRecord

ProviderStatus = Literal["healthy", "degraded", "down"]
# Below the first a provider is not what one hopes for; below the second it is of no use.
HEALTHY_SUCCESS_RATE = 0.95
DOWN_SUCCESS_RATE = 0.2


class ImagePricing(BaseModel):
    """An image that is made in one size and quality; null: the model does not know the one or the other."""

    size: str | None
    quality: str | None
    price: str
    is_default: bool


class Pricing(BaseModel):
    """US dollars as exact decimal strings: tokens per million, images and requests each; images: those it makes.

    null where it makes images alone: its tokens are in their price
    """

    input: str | None
    output: str | None
    cached_input: str | None
    image: str | None
    request: str | None
    images: list[ImagePricing]


class Modalities(BaseModel):
    """What goes in and what comes out."""

    input: list[str]
    output: list[str]


class ModelView(BaseModel):
    """One model; the pricing is its cheapest offer's, and each image's is that of its cheapest."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str
    name: str
    description: str
    context_length: int
    max_output_tokens: int
    modalities: Modalities
    pricing: Pricing
    providers: list[str]
    supported_parameters: list[str]


class LongContextPricing(BaseModel):
    """What tokens cost, per million, in a request whose prompt has so many or more."""

    from_tokens: int
    input: str
    output: str
    cached_input: str


class OfferView(BaseModel):
    """A model at one provider.

    long_context: null where the length of the prompt changes no price; latency_ms, tokens_per_second: averages of the
    last requests, null where there were none
    """

    provider: str
    pricing: Pricing
    long_context: LongContextPricing | None
    context_length: int
    max_output_tokens: int
    status: ProviderStatus
    breaker: Breaker
    latency_ms: int | None
    tokens_per_second: float | None


class ModelDetail(ModelView):
    """One model with each provider's offer; aliases: other names by which it may be asked for."""

    aliases: list[str]
    offers: list[OfferView]


class ModelList(BaseModel):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelView]
    has_more: bool
    total: int


class BreakerView(BaseModel):
    """A model that is not asked of a provider; retry_after_s: until one request tries it."""

    model: str
    state: Breaker
    retry_after_s: int


class ProviderView(BaseModel):
    """One provider; the rates and medians are of our own calls in the last hour, null when there were none."""

    slug: str
    name: str
    url: str
    model_count: int
    status: ProviderStatus
    success_rate: float | None
    median_latency_ms: int | None
    median_tokens_per_second: float | None
    breakers: list[BreakerView]


class ProviderList(BaseModel):
    """GET /models/providers."""

    object: Literal["list"] = "list"
    data: list[ProviderView]


class Pong(BaseModel):
    """GET /ping; count is of all time."""

    message: Literal["pong"] = "pong"
    count: int
    timestamp: str


class Health(BaseModel):
    """GET /health."""

    status: Literal["ok", "degraded", "down"]
    version: str
    checks: dict[str, Literal["ok", "degraded", "down"]]


def model_view(model: Model) -> ModelView:
    """Show a model."""
    return ModelView(
        id=model.id,
        created=model.created,
        owned_by=model.id.split("/", 1)[0],
        name=model.name,
        description=model.description,
        context_length=model.context_length,
        max_output_tokens=model.max_output_tokens,
        modalities=Modalities(input=list(model.input_modalities), output=list(model.output_modalities)),
        pricing=_pricing_view(model.offers[0].rates, _cheapest_images(model.offers)),
        providers=[offer.provider for offer in model.offers],
        supported_parameters=list(model.supported_parameters),
    )


def model_detail(model: Model, health: HealthReport) -> ModelDetail:
    """Show a model with each provider's offer."""
    return ModelDetail(
        **model_view(model).model_dump(),
        aliases=list(model.aliases),
        offers=[_offer_view(offer, health) for offer in model.offers],
    )


def provider_view(provider: Provider, models: Sequence[Model], record: ProviderRecord | None) -> ProviderView:
    """Show a provider."""
    return ProviderView(
        slug=provider.slug,
        name=provider.name,
        url=provider.url,
        model_count=sum(any(offer.provider == provider.slug for offer in model.offers) for model in models),
        status=provider_status(record),
        success_rate=None if record is None else record.success_rate,
        median_latency_ms=None if record is None else record.median_latency_ms,
        median_tokens_per_second=None if record is None else record.median_tokens_per_second,
        breakers=[] if record is None else [_breaker_view(breaker) for breaker in record.breakers],
    )


def provider_status(record: ProviderRecord | None) -> ProviderStatus:
    """Judge a provider by the last hour; one that was not called is not blamed."""
    if record is None or record.success_rate >= HEALTHY_SUCCESS_RATE:
        return "healthy"
    return "down" if record.success_rate < DOWN_SUCCESS_RATE else "degraded"


def _breaker_view(breaker: OpenBreaker) -> BreakerView:
    return BreakerView(model=breaker.model_id, state=breaker.breaker, retry_after_s=ceil(breaker.retry_ms / 1000))


def _offer_view(offer: ModelOffer, health: HealthReport) -> OfferView:
    own = health.offers.get(offer.provider, OfferHealth())
    breaker = own.breaker(health.now_ms)
    latency_ms, tokens_per_second = own.latency(health.now_ms), own.throughput(health.now_ms)
    return OfferView(
        provider=offer.provider,
        pricing=_pricing_view(offer.rates, offer.images),
        long_context=None if offer.long_context is None else _long_context_pricing(offer.long_context),
        context_length=offer.context_length,
        max_output_tokens=offer.max_output_tokens,
        status=provider_status(health.providers.get(offer.provider)) if breaker is Breaker.CLOSED else "down",
        breaker=breaker,
        latency_ms=None if latency_ms is None else round(latency_ms),
        tokens_per_second=None if tokens_per_second is None else round(tokens_per_second, 1),
    )


def _long_context_pricing(long_context: LongContext) -> LongContextPricing:
    rates = long_context.rates
    return LongContextPricing(
        from_tokens=long_context.from_tokens,
        input=format_dollars(Nanos(rates.input_tokens)),
        output=format_dollars(Nanos(rates.output_tokens)),
        cached_input=format_dollars(Nanos(rates.cached_input_tokens)),
    )


def _cheapest_images(offers: Sequence[ModelOffer]) -> list[ImagePrice]:
    """Return each size and quality that some provider makes, at its lowest price.

    The default comes first: whoever names no size is served the default that costs least, whoever's it is.

    source  gateway.image_variants_meant in infra/supabase/migrations
    """
    by_provider = sorted(offers, key=lambda offer: offer.provider)
    images = sorted((image for offer in by_provider for image in offer.images), key=lambda image: image.rate)
    cheapest: dict[tuple[str | None, str | None], ImagePrice] = {}
    for image in images:
        cheapest.setdefault((image.size, image.quality), image)
    usual = next((image for image in images if image.is_default), None)
    told = [
        msgspec.structs.replace(
            image, is_default=usual is not None and (image.size, image.quality) == (usual.size, usual.quality)
        )
        for image in cheapest.values()
    ]
    return sorted(told, key=lambda image: (not image.is_default, image.rate, image.size or "", image.quality or ""))


def _pricing_view(rates: Rates | None, images: Sequence[ImagePrice]) -> Pricing:
    """Print rates as dollars: per million tokens as they are stored, per image and request a millionth of that."""
    return Pricing(
        input=None if rates is None else format_dollars(Nanos(rates.input_tokens)),
        output=None if rates is None else format_dollars(Nanos(rates.output_tokens)),
        cached_input=None if rates is None else format_dollars(Nanos(rates.cached_input_tokens)),
        image=None if rates is None else _per_unit(rates.images),
        request=None if rates is None else _per_unit(rates.requests),
        images=[_image_pricing(image) for image in images],
    )


def _image_pricing(image: ImagePrice) -> ImagePricing:
    return ImagePricing(
        size=image.size, quality=image.quality, price=_per_unit(image.rate), is_default=image.is_default
    )


def _per_unit(nanos_per_million: int) -> str:
    whole, millionths = divmod(nanos_per_million, 1_000_000)
    return f"{format_dollars(Nanos(whole))}{millionths:06d}"
