"""What the database tells admins of models, offers and providers; rates are nano-dollars per million units."""

import msgspec

from shared.core.ids import ModelId, PriceId, ProviderSlug
from shared.operations.types import AdminAnswer


class Rates(msgspec.Struct, frozen=True):
    """What a unit costs, in nano-dollars per million."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    images: int
    requests: int


class LongPrice(msgspec.Struct, frozen=True):
    """What a request costs us and the customer whose prompt has so many tokens or more."""

    from_tokens: int
    cost: Rates
    price: Rates


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """A price version: what the provider takes, and what the customer pays."""

    id: PriceId
    cost: Rates
    price: Rates
    markup_ppm: int
    created_at: str
    long_context: LongPrice | None


class ImageVariant(msgspec.Struct, frozen=True, kw_only=True):
    """An image in one size and quality, None where the model does not know the one or the other."""

    size: str | None
    quality: str | None
    is_default: bool
    price: Price | None
    pending_price: Price | None


class SoldOffer(msgspec.Struct, frozen=True, kw_only=True):
    """A model at a provider.

    markup_ppm: its own, None for the provider's; is_price_overridden: somebody has set its price; retired_at: since
    when the provider's list has it no more, or has it at a price that waits; pending_price: one that jumped and waits
    to be confirmed
    """

    provider: ProviderSlug
    upstream_model: str
    is_enabled: bool
    retired_at: str | None
    is_price_overridden: bool
    markup_ppm: int | None
    price: Price | None
    pending_price: Price | None
    images: tuple[ImageVariant, ...]


class SoldModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model with all its offers; is_edited: somebody has described it, and no list does."""

    id: ModelId
    name: str
    description: str
    is_enabled: bool
    is_edited: bool
    context_length: int
    max_output_tokens: int
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    created_at: str
    offers: tuple[SoldOffer, ...]


class WaitingList(msgspec.Struct, frozen=True):
    """A list that misses too much of what is offered, or adds too much that never was."""

    listed: int
    missing: int
    offered: int
    added: int


class Seller(msgspec.Struct, frozen=True, kw_only=True):
    """A provider; waiting: its last list, which changed nothing because nobody believes it; None where it did."""

    slug: ProviderSlug
    is_enabled: bool
    markup_ppm: int | None
    waiting: WaitingList | None
    offers: int
    enabled: int
    retired: int
    pending_prices: int


class CatalogTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="catalog"):
    """A page of models by their ids."""

    models: tuple[SoldModel, ...]


class ModelTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="model"):
    """One model, changed."""

    model: SoldModel


class SellersTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="sellers"):
    """Every provider."""

    providers: tuple[Seller, ...]


class SellerTold(AdminAnswer, frozen=True, kw_only=True, tag_field="verdict", tag="seller"):
    """One provider, changed."""

    provider: Seller


class CatalogFilter(msgspec.Struct, frozen=True, kw_only=True):
    """Which models are meant: None is any. search: a part of the id or the name; is_pending: a price waits."""

    search: str | None = None
    provider: ProviderSlug | None = None
    is_enabled: bool | None = None
    is_pending: bool | None = None
