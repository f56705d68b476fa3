"""What admins are shown of models, offers and providers: US dollars per million tokens, per image and per request."""

from typing import Literal

import msgspec

from shared.core.ids import ModelId, ProviderSlug
from shared.core.money import NANOS_PER_DOLLAR
from shared.operations.catalog_types import ImageVariant, Price, Rates, Seller, SoldModel, SoldOffer

PPM_PER_PERCENT = 10_000
# Nano-dollars per million units.
NANOS_PER_USD_PER_UNIT = NANOS_PER_DOLLAR * 1_000_000


class RatesView(msgspec.Struct, kw_only=True):
    """US dollars: per million tokens, per image, per request."""

    input: str
    output: str
    cached_input: str
    cache_write: str
    image: str
    request: str


class LongPriceView(msgspec.Struct, kw_only=True):
    """What a request takes whose prompt has so many tokens or more."""

    from_tokens: int
    cost: RatesView
    price: RatesView


class PriceView(msgspec.Struct, kw_only=True):
    """A price version: cost is what the provider takes, price what the customer pays.

    long_context: null where the length of the prompt changes neither
    """

    id: int
    cost: RatesView
    price: RatesView
    markup_percent: str
    created_at: str
    long_context: LongPriceView | None


class ImageView(msgspec.Struct, kw_only=True):
    """An image in one size and quality."""

    size: str | None
    quality: str | None
    is_default: bool
    price: PriceView | None
    pending_price: PriceView | None


class OfferView(msgspec.Struct, kw_only=True):
    """A model at a provider; pending_price jumped more than tenfold and waits to be confirmed by its id.

    retired_at: since when the provider lists it no more; where a price is pending, it does again, at that price
    """

    provider: ProviderSlug
    upstream_model: str
    is_enabled: bool
    retired_at: str | None
    is_price_overridden: bool
    markup_percent: str | None
    price: PriceView | None
    pending_price: PriceView | None
    images: list[ImageView]


class ModelView(msgspec.Struct, kw_only=True):
    """A model with all its offers; is_edited: no provider's list describes it any more."""

    id: ModelId
    object: Literal["admin.model"] = "admin.model"
    name: str
    description: str
    is_enabled: bool
    is_edited: bool
    context_length: int
    max_output_tokens: int
    input_modalities: list[str]
    output_modalities: list[str]
    created_at: str
    offers: list[OfferView]


class WaitingListView(msgspec.Struct, kw_only=True):
    """A list that changed nothing, because it missed more than half of what is offered, or added more than there was.

    added: how many it has that were never offered. may_shrink and may_grow let the next list.
    """

    listed: int
    missing: int
    offered: int
    added: int


class ProviderView(msgspec.Struct, kw_only=True):
    """A provider; enabled: its offers that can be asked."""

    slug: ProviderSlug
    object: Literal["admin.provider"] = "admin.provider"
    is_enabled: bool
    markup_percent: str | None
    waiting_list: WaitingListView | None
    offers: int
    enabled: int
    retired: int
    pending_prices: int


def model_view(model: SoldModel) -> ModelView:
    """Show a model."""
    return ModelView(
        id=model.id,
        name=model.name,
        description=model.description,
        is_enabled=model.is_enabled,
        is_edited=model.is_edited,
        context_length=model.context_length,
        max_output_tokens=model.max_output_tokens,
        input_modalities=list(model.input_modalities),
        output_modalities=list(model.output_modalities),
        created_at=model.created_at,
        offers=[_offer_view(offer) for offer in model.offers],
    )


def provider_view(seller: Seller) -> ProviderView:
    """Show a provider."""
    waiting = seller.waiting
    return ProviderView(
        slug=seller.slug,
        is_enabled=seller.is_enabled,
        markup_percent=_percent(seller.markup_ppm),
        waiting_list=None
        if waiting is None
        else WaitingListView(
            listed=waiting.listed, missing=waiting.missing, offered=waiting.offered, added=waiting.added
        ),
        offers=seller.offers,
        enabled=seller.enabled,
        retired=seller.retired,
        pending_prices=seller.pending_prices,
    )


def _offer_view(offer: SoldOffer) -> OfferView:
    return OfferView(
        provider=offer.provider,
        upstream_model=offer.upstream_model,
        is_enabled=offer.is_enabled,
        retired_at=offer.retired_at,
        is_price_overridden=offer.is_price_overridden,
        markup_percent=_percent(offer.markup_ppm),
        price=_price_view(offer.price),
        pending_price=_price_view(offer.pending_price),
        images=[_image_view(variant) for variant in offer.images],
    )


def _image_view(variant: ImageVariant) -> ImageView:
    return ImageView(
        size=variant.size,
        quality=variant.quality,
        is_default=variant.is_default,
        price=_price_view(variant.price),
        pending_price=_price_view(variant.pending_price),
    )


def _price_view(price: Price | None) -> PriceView | None:
    if price is None:
        return None
    long = price.long_context
    return PriceView(
        id=price.id,
        cost=_rates_view(price.cost),
        price=_rates_view(price.price),
        markup_percent=_percent(price.markup_ppm) or "0",
        created_at=price.created_at,
        long_context=None
        if long is None
        else LongPriceView(from_tokens=long.from_tokens, cost=_rates_view(long.cost), price=_rates_view(long.price)),
    )


def _rates_view(rates: Rates) -> RatesView:
    return RatesView(
        input=_decimal(rates.input_tokens, NANOS_PER_DOLLAR),
        output=_decimal(rates.output_tokens, NANOS_PER_DOLLAR),
        cached_input=_decimal(rates.cached_input_tokens, NANOS_PER_DOLLAR),
        cache_write=_decimal(rates.cache_write_tokens, NANOS_PER_DOLLAR),
        image=_decimal(rates.images, NANOS_PER_USD_PER_UNIT),
        request=_decimal(rates.requests, NANOS_PER_USD_PER_UNIT),
    )


def _percent(ppm: int | None) -> str | None:
    return None if ppm is None else _decimal(ppm, PPM_PER_PERCENT)


def _decimal(dividend: int, divisor: int) -> str:
    """Print a quotient by a power of ten exactly, without zeros at its end."""
    digits = len(str(divisor)) - 1
    whole, rest = divmod(dividend, divisor)
    return f"{whole}.{rest:0{digits}d}".rstrip("0").rstrip(".")
