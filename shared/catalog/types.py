"""Models and their offers as the database lists them."""

import msgspec

from shared.core.ids import ModelId, ProviderSlug


class Rates(msgspec.Struct, frozen=True):
    """What a unit costs the customer, in nano-dollars per million units."""

    input_tokens: int
    cached_input_tokens: int
    cache_write_tokens: int
    output_tokens: int
    images: int
    requests: int


class ImagePrice(msgspec.Struct, frozen=True):
    """What an image costs the customer in one size and quality, in nano-dollars per million images.

    size, quality: None where the model does not know the one or the other
    """

    size: str | None
    quality: str | None
    rate: int
    is_default: bool


class LongContext(msgspec.Struct, frozen=True):
    """What a request takes whose prompt has so many tokens or more."""

    from_tokens: int
    rates: Rates


class ModelOffer(msgspec.Struct, frozen=True):
    """A model at one provider; rates: None where it makes images alone, and each has a price of its own."""

    provider: ProviderSlug
    context_length: int
    max_output_tokens: int
    rates: Rates | None
    images: tuple[ImagePrice, ...] = ()
    long_context: LongContext | None = None

    @property
    def is_free(self) -> bool:
        """Whether it costs nothing, whatever is asked of it."""
        if self.rates is None:
            return all(image.rate == 0 for image in self.images)
        return self.rates.input_tokens == self.rates.output_tokens == self.rates.requests == 0


class Model(msgspec.Struct, frozen=True):
    """A model under its canonical id, with its offers, cheapest first, and its other names."""

    id: ModelId
    name: str
    description: str
    created: int
    context_length: int
    max_output_tokens: int
    input_modalities: tuple[str, ...]
    output_modalities: tuple[str, ...]
    supported_parameters: tuple[str, ...]
    offers: tuple[ModelOffer, ...]
    aliases: tuple[str, ...]

    @property
    def is_free(self) -> bool:
        """Whether some offer of it costs nothing."""
        return any(offer.is_free for offer in self.offers)
